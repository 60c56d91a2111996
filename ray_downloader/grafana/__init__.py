"""`python -m ray_downloader.grafana FOLDER [--prometheus URL]`: what Grafana needs to show a run.

Writes a provisioning folder: a data source (the Prometheus that scrapes Ray), a provider, and the dashboard.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import yaml

from ray_downloader.config.options import OneSentenceParser

NAME = "ray_downloader"
PROMETHEUS = "http://127.0.0.1:9090"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the folder; returns the exit code."""
    parser = OneSentenceParser(
        prog="python -m ray_downloader.grafana", description="Writes a provisioning folder for Grafana."
    )
    parser.add_argument("folder", type=Path, help="for Grafana's setting paths.provisioning")
    parser.add_argument("--prometheus", default=PROMETHEUS, help=f"address of the Prometheus (default {PROMETHEUS})")
    given = parser.parse_args(arguments)
    for path in provision(given.folder.absolute(), given.prometheus):
        print(path)  # noqa: T201
    return 0


def provision(folder: Path, prometheus: str) -> list[Path]:
    """Write the files; returns them."""
    source = {"name": NAME, "type": "prometheus", "url": prometheus, "access": "proxy", "isDefault": True}
    dashboards = folder / "dashboards"
    provider = {"name": NAME, "type": "file", "options": {"path": str(dashboards)}}
    files = {
        folder / "datasources" / f"{NAME}.yaml": yaml.safe_dump({"apiVersion": 1, "datasources": [source]}),
        dashboards / f"{NAME}.yaml": yaml.safe_dump({"apiVersion": 1, "providers": [provider]}),
        dashboards / f"{NAME}.json": resources.files(__package__).joinpath(f"{NAME}.json").read_text("utf-8"),
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return list(files)
