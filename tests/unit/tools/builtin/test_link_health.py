"""What became of each link: counted by publisher and server, and listed if something is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.run_folder.layout import ERRORS
from ray_downloader.run_folder.schemas import ERROR_SCHEMA, success_schema
from ray_downloader.tools.placeholders import LEAST_ALIKE
from tests.support.stored import StoredRun, received, row, rows_of, run_here


def _failed(uuid: str, kind: str, status: int | None = None) -> dict[str, object]:
    url = f"http://a.example/{uuid}.jpg"
    return {"uuid": uuid, "identifier": url, "error_kind": kind, "http_status": status, "error_msg": "<why>"}


def _run(path: Path) -> StoredRun:
    run, schema = StoredRun(path), success_schema(["datasetKey"])
    rows = [
        row("ok", received(1), final_url="http://a.example/ok.jpg", datasetKey="k"),
        row("moved", received(2), final_url="http://b.example/x.jpg", datasetKey="k"),
        row("small", received(3), final_url="http://a.example/s.jpg", rendition="x small", datasetKey="k"),
    ]
    rows += [row(f"same{n}", received(4), datasetKey="k") for n in range(LEAST_ALIKE)]
    folder = run.add(rows, schema=schema).parent
    errors = [_failed("gone", "http_4xx", 404), _failed("no", "http_4xx", 403), _failed("slow", "timeout")]
    errors += [_failed("text", "not_image"), _failed("dns", "dns")]
    pq.write_table(pa.Table.from_pylist(errors, schema=ERROR_SCHEMA), folder / ERRORS)
    run.layout.urls.mkdir()
    listed = {name: [one[name] for one in errors] for name in ("uuid", "identifier")}
    pq.write_table(pa.table({**listed, "keep.datasetKey": ["k"] * 5}), run.layout.urls / "rows-00000.parquet")
    return run


def test_links_are_counted_by_publisher_and_those_with_problems_listed(tmp_path: Path) -> None:
    run = _run(tmp_path / "out")
    counts = run_here(run.tool("link_health"))
    states = {"ok": 2, "moved": 1, "replaced": LEAST_ALIKE, "dead": 2, "refused": 1, "no_image": 1, "trouble": 1}
    assert counts == {"links": 18, "publishers": 1, **states}
    folder = run.layout.tools / "link_health"
    (line,) = rows_of(folder / "link_health.csv")
    assert line == {"publisher": "k", "server_name": "a.example", "links": "18"} | {
        k: str(v) for k, v in states.items()
    }
    problems = {one["identifier"]: one["state"] for one in rows_of(folder / "links.csv")}
    assert len(problems) == 16
    assert problems["http://a.example/gone.jpg"] == "dead"
    (placeholder,) = rows_of(folder / "placeholders.csv")
    assert placeholder["links"] == str(LEAST_ALIKE)
    page = (folder / "index.html").read_text("utf-8")
    assert "http://b.example/x.jpg" in page
    assert "&lt;why&gt;" in page
    assert "<script" not in page


def test_several_runs_are_one_report(tmp_path: Path) -> None:
    run, other = StoredRun(tmp_path / "out"), _run(tmp_path / "other")
    run.add([row("x", received(9))])
    counts = run_here(run.tool("link_health", runs=[str(other.root)]))
    assert (counts["links"], counts["publishers"]) == (19, 2)
