"""What became of each link: counted by publisher and server, and listed if something is wrong with it."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
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


def test_a_run_that_is_named_twice_counts_once(tmp_path: Path) -> None:
    run, other = StoredRun(tmp_path / "out"), _run(tmp_path / "other")
    run.add([row("x", received(9))])
    (tmp_path / "link").symlink_to(other.root)
    names = [str(run.root), str(other.root), f"{other.root}/", str(tmp_path / "link")]
    assert run_here(run.tool("link_health", runs=names))["links"] == 19


@pytest.mark.parametrize(
    ("name", "said"), [("", "is not a run"), ("missing", "is not a run"), ("ftp://a/b", r"tools_parameters\.runs: ftp")]
)
def test_what_is_no_run_is_said_with_the_setting_that_names_it(tmp_path: Path, name: str, said: str) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("x", received(9))])
    path = name if "://" in name else str(tmp_path / name)
    with pytest.raises(UserError, match=said) as refusal:
        run_here(run.tool("link_health", runs=[path]))
    assert "path_to_output=" not in str(refusal.value)


def _day(number: int) -> datetime:
    return datetime(2026, 11, number, tzinfo=timezone.utc)


@pytest.mark.parametrize("is_first", [True, False])
def test_of_several_runs_the_latest_answer_of_a_link_counts(tmp_path: Path, *, is_first: bool) -> None:
    old, new = StoredRun(tmp_path / "old"), StoredRun(tmp_path / "new")
    rows = [row(name, received(n), fetched_at=_day(1)) for n, name in enumerate(("died", "kept", "left"))]
    folder = old.add(rows).parent
    back = {**_failed("back", "http_4xx", 404), "source_id": "id-back", "fetched_at": _day(1)}
    pq.write_table(pa.Table.from_pylist([back], schema=ERROR_SCHEMA), folder / ERRORS)
    folder = new.add([row(name, received(7), fetched_at=_day(20)) for name in ("kept", "back")]).parent
    died = {**_failed("died", "http_4xx", 404), "source_id": "id-died", "fetched_at": _day(20)}
    pq.write_table(pa.Table.from_pylist([died], schema=ERROR_SCHEMA), folder / ERRORS)
    run, other = (new, old) if is_first else (old, new)
    counts = run_here(run.tool("link_health", runs=[str(other.root)]))
    assert (counts["links"], counts["ok"], counts["dead"]) == (4, 3, 1)
    (line,) = rows_of(run.layout.tools / "link_health" / "links.csv")
    assert (line["identifier"], line["state"]) == ("http://a.example/died.jpg", "dead")


def test_a_link_that_is_written_otherwise_when_it_is_requested_has_not_moved(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    written = [
        ("HTTP://A.Example:80/a b.jpg", "http://a.example/a%20b.jpg"),
        ("http://me:secret@a.example/1.jpg", "http://a.example/1.jpg"),
        ("http://a.example/2.jpg", "https://a.example/2.jpg"),
    ]
    run.add([row(f"u{n}", received(n), identifier=listed, final_url=at) for n, (listed, at) in enumerate(written)])
    counts = run_here(run.tool("link_health"))
    assert (counts["ok"], counts["moved"]) == (2, 1)


def test_another_run_may_have_other_names_of_folders(tmp_path: Path) -> None:
    run, other = StoredRun(tmp_path / "out"), StoredRun(tmp_path / "other")
    run.add([row("x", received(9))])
    other.add([row("y", received(8))])
    values = {"path_to_input": "", "path_to_output": other.root, "output_structure": {"images_folder": "pictures"}}
    other.layout.images.rename(other.root / "pictures")
    (other.root / "settings.json").write_text(Settings.from_config(values).to_json())
    assert run_here(run.tool("link_health", runs=[str(other.root)]))["links"] == 2


def test_a_run_without_images_has_no_links(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.layout.images.mkdir(parents=True)
    tool = run.tool("link_health")
    with pytest.raises(UserError, match="images"):
        tool.finish({})
    assert not (tool.context.folder / "index.html").exists()


def test_the_page_shows_500_servers_and_140_examples(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    folder = run.add([row("x", received(1))]).parent
    failed = [_failed(f"u{number}", "dns") for number in range(501)]
    table = pa.Table.from_pylist(failed, schema=ERROR_SCHEMA)
    names = pa.array([f"s{number:03d}.example" for number in range(501)])
    pq.write_table(table.append_column("server_name", names), folder / ERRORS)
    assert run_here(run.tool("link_health"))["dead"] == 501
    page = (run.layout.tools / "link_health" / "index.html").read_text("utf-8")
    servers, _, examples = page.partition("<h2>Examples</h2>")
    assert (servers.count("<tr>"), examples.count("<tr>")) == (501, 141), "each has a head"
    assert "s499.example" in servers and "s500.example" not in servers
    assert len(rows_of(run.layout.tools / "link_health" / "link_health.csv")) == 502


def test_a_publisher_and_server_have_three_examples_of_each_state(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    folder = run.add([row("x", received(1))]).parent
    failed = [_failed(f"u{number}", kind) for number, kind in enumerate(["dns"] * 4 + ["timeout"] * 2)]
    pq.write_table(pa.Table.from_pylist(failed, schema=ERROR_SCHEMA), folder / ERRORS)
    run_here(run.tool("link_health"))
    page = (run.layout.tools / "link_health" / "index.html").read_text("utf-8")
    assert [name for name in range(6) if f"/u{name}.jpg" in page] == [0, 1, 2, 4, 5]
