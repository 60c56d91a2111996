"""Real GBIF lists, with their real host names led to the loopback origin over TLS and plain HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.job import RunFolder, as_override, run_program
from tests.support.running import RunningOrigin

pytestmark = [pytest.mark.ray, pytest.mark.thorough]


@pytest.mark.parametrize(
    ("path", "rows", "rejected", "servers"),
    [
        ("gbif/demo_marine_multimedia.txt", 755, 11, 10),
        ("gbif/ticks_dwca", 1362, 0, 3),
    ],
)
def test_a_real_gbif_list_completes(
    tmp_path: Path, origin: RunningOrigin, shared_data: Path, path: str, rows: int, rejected: int, servers: int
) -> None:
    out = RunFolder(tmp_path / "out")
    done = run_program(
        "+experiment=gbif", f"path_to_input={shared_data / 'lists' / path}", f"path_to_output={out.root}",
        "stages=[partition,download]", "downloader_parameters.default_rate_limit=400", "politeness.max_connections=8",
        f"network.ca_bundle={origin.ca_bundle}", as_override("network.connect_to", origin.connect_to), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert out.summary["rows"] == {"input": rows, "rejected": rejected, "successes": rows - rejected, "errors": 0}
    assert len(out.summary["servers"]) == servers
    assert out.rejected().num_rows == rejected
    assert set(out.settled_uuids().values()) == {1}
    assert out.settled_uuids().total() == rows - rejected
    asked = [(request.host, request.target) for request in origin.seen() if request.target != "/robots.txt"]
    assert len(asked) == len(set(asked)), "equal URLs are fetched once"
