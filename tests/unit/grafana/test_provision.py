"""The provisioning folder for Grafana, and the shape of the dashboard."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from grafana_foundation_sdk.models.prometheus import Dataquery

from ray_downloader.grafana import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert main([str(tmp_path), "--prometheus", "http://127.0.0.1:9999"]) == 0
    return tmp_path


def test_grafana_finds_the_source_and_the_dashboard(folder: Path) -> None:
    source = yaml.safe_load((folder / "datasources" / "ray_downloader.yaml").read_text("utf-8"))
    assert source["datasources"][0]["url"] == "http://127.0.0.1:9999"
    provider = yaml.safe_load((folder / "dashboards" / "ray_downloader.yaml").read_text("utf-8"))["providers"][0]
    assert Path(provider["options"]["path"], "ray_downloader.json").is_file()


def test_the_dashboard_has_the_shape_that_grafana_reads(folder: Path) -> None:
    dashboard = json.loads((folder / "dashboards" / "ray_downloader.json").read_text("utf-8"))
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= dashboard.keys()
    variables = {one["name"] for one in dashboard["templating"]["list"]}
    assert variables == {"datasource", "run", "server"}
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["type"] == "timeseries" and panel["title"] and panel["targets"]
        assert all(target["expr"] and target["refId"] for target in panel["targets"])
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    assert not any(_overlap(one["gridPos"], other["gridPos"]) for one, other in combinations(panels, 2))


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def test_grafanas_own_model_of_a_dashboard_knows_every_field(folder: Path) -> None:
    """Grafana drops fields that it does not know without a word; the model is generated from its schemas."""
    register_default_plugins()
    written = json.loads((folder / "dashboards" / "ray_downloader.json").read_text("utf-8"))
    understood = Dashboard.from_json(written)
    assert _lost(written, json.loads(JSONEncoder().encode(understood))) == []
    assert all(isinstance(target, Dataquery) for panel in understood.panels for target in panel.targets)


def _lost(written: Any, understood: Any, place: str = "") -> list[str]:
    """Where something that was written is missing or different in what was understood."""
    if isinstance(written, dict) and isinstance(understood, dict):
        return [lost for key in written for lost in _lost(written[key], understood.get(key), f"{place}/{key}")]
    if isinstance(written, list) and isinstance(understood, list) and len(written) == len(understood):
        pairs = enumerate(zip(written, understood, strict=True))
        return [lost for number, (one, other) in pairs for lost in _lost(one, other, f"{place}/{number}")]
    return [] if written == understood else [place]
