"""`attribution`: whom to credit for each image, with or without the list at hand."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.tools.builtin import attribution
from tests.support.stored import StoredRun, received, row, rows_of, run_here


def test_attribution_names_the_creator_from_the_list(run: StoredRun) -> None:
    run.layout.urls.mkdir(parents=True)
    listed = {"uuid": ["d"], "identifier": ["http://a.example/d.jpg"], "creator": ["Muir, John"]}
    pq.write_table(pa.table(listed), run.layout.urls / "rows-00000.parquet")
    summary = run_here(run.tool("attribution"))
    assert (summary["images"], summary["without_license"]) == (5, 4)
    folder = run.layout.tools / "attribution"
    (row_d,) = [one for one in rows_of(folder / "attribution.csv") if one["uuid"] == "d"]
    assert (row_d["creator"], row_d["source"], row_d["license"]) == ("Muir, John", "Museum", "CC BY 4.0")
    assert "| CC BY 4.0 | Muir, John | Museum | 1 |" in (folder / "ATTRIBUTION.md").read_text()


def test_attribution_needs_no_list(run: StoredRun) -> None:
    assert run_here(run.tool("attribution"))["images"] == 5


def test_rows_are_by_licence_creator_and_uuid_and_groups_by_their_size(run: StoredRun) -> None:
    run.layout.urls.mkdir(parents=True)
    names = {"a": "Zoë", "b": "Zoë", "c": "Ann", "e": "Ann"}
    urls = [f"http://a.example/{uuid}.jpg" for uuid in names]
    listed = {"uuid": list(names), "identifier": urls, "creator": list(names.values())}
    pq.write_table(pa.table(listed), run.layout.urls / "rows-00000.parquet")
    more = {"uuid": ["d", "a"], "identifier": ["http://a.example/d.jpg", "http://other.example/a.jpg"]}
    pq.write_table(pa.table({**more, "creator": [None, "Nobody"]}), run.layout.urls / "rows-00001.parquet")
    run.add([row("f", received(5), license="CC BY 4.0")], "c.example")
    assert run_here(run.tool("attribution")) == {"images": 6, "without_license": 4}
    folder = run.layout.tools / "attribution"
    rows = rows_of(folder / "attribution.csv")
    assert list(rows[0]) == [
        "uuid", "source_id", "identifier", "title", "creator", "source", "license", "is_license_full",
    ]  # fmt: skip
    assert [one["uuid"] for one in rows] == ["d", "f", "c", "e", "a", "b"]
    lines = (folder / "ATTRIBUTION.md").read_text("utf-8").splitlines()
    assert lines[:6] == [
        "# Attribution",
        "",
        "6 images; attribution.csv has a row for each.",
        "",
        "| licence | creator | source | images |",
        "|---|---|---|---:|",
    ]
    assert lines[6:] == [
        "|  | Ann |  | 2 |",
        "|  | Zoë |  | 2 |",
        "| CC BY 4.0 |  | Museum | 1 |",
        "| CC BY 4.0 |  |  | 1 |",
    ]


def test_a_list_without_creators_names_none(run: StoredRun) -> None:
    run.layout.urls.mkdir(parents=True)
    listed = {"uuid": ["d"], "identifier": ["http://a.example/d.jpg"]}
    pq.write_table(pa.table(listed), run.layout.urls / "rows-00000.parquet")
    assert run_here(run.tool("attribution"))["images"] == 5


def test_bars_and_line_ends_do_not_break_the_table(run: StoredRun) -> None:
    run.add([row("f", received(5), license="A|B", source="one\ntwo")], "c.example")
    run_here(run.tool("attribution"))
    assert "| A&#124;B |  | one two | 1 |" in (run.layout.tools / "attribution" / "ATTRIBUTION.md").read_text("utf-8")


@pytest.mark.parametrize(("groups", "is_cut"), [(999, False), (1000, True)])
def test_a_table_that_is_cut_says_so(groups: int, is_cut: bool) -> None:
    text = attribution._markdown([("CC0", str(number), None, 1) for number in range(groups)], groups)
    assert text.endswith("| ... | | | |\n") == is_cut
    assert attribution.SHOWN_GROUPS == 1000
