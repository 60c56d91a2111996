"""How the rows of a list compare with those of a run, and what a run with the new ones consists of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.partition import compare, load_partition_summary, partition
from ray_downloader.partition.batches import load_batches
from ray_downloader.partition.compare import ADDED, STAGED, Comparison, added_rows, beside, partitioned, run_files
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.schemas import BATCH_SCHEMA, REJECTED_SCHEMA

pytestmark = pytest.mark.stage


class Lists:
    """A run, and what its list has become."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack

    def settings(self, rows: Sequence[str], **parameters: object) -> Settings:
        path = self._folder / "list.csv"
        path.write_text("\n".join(["id,url", *rows]) + "\n")
        return Settings.from_config(
            {
                "path_to_input": str(path),
                "path_to_output": str(self._folder / "out"),
                "dataset": {"columns": {"source_id": "id", "identifier": "url"}},
                "downloader_parameters": {"pool_below": 3, "batch_size": 4, **parameters},
            }
        )

    def run_of(self, rows: Sequence[str]) -> RunLayout:
        settings = self.settings(rows)
        layout = RunLayout.of(settings)
        partition(settings, layout)
        return layout

    def now(self, rows: Sequence[str], run: RunLayout) -> RunLayout:
        return self._stack.enter_context(partitioned(self.settings(rows), run, lambda _: None))

    def add(self, rows: Sequence[str], run: RunLayout) -> dict[str, str]:
        """Extend the run by the new rows; returns what was moved where."""
        with partitioned(self.settings(rows), run, lambda _: None) as listed:
            moves = added_rows(run, listed, self.settings(rows).downloader_parameters)
        for source, target in moves.items():
            (run.root / source).rename(run.root / target)
        return moves


@pytest.fixture
def lists(tmp_path: Path) -> Iterator[Lists]:
    with ExitStack() as stack:
        yield Lists(tmp_path, stack)


def of(server: str, *numbers: int) -> list[str]:
    return [f"{number},http://{server}.org/{number}.jpg" for number in numbers]


BEFORE = [*of("a", 1, 2, 3), "4,mailto:me@a.org"]


@pytest.mark.parametrize(
    ("rows", "same", "new", "gone", "listed"),
    [
        (BEFORE, 3, 0, 0, 4),
        (BEFORE[::-1], 3, 0, 0, 4),
        (of("a", 1, 2, 3, 4), 3, 1, 0, 4),
        (of("a", 3), 1, 0, 2, 1),
        (of("a", 3, 4), 1, 1, 2, 2),
        (of("b", 1, 2), 0, 2, 3, 2),
        (of("a", 1, 2, 3, 3, 3), 3, 2, 0, 5),
        (["9,http://a.org/1.jpg", *of("a", 2, 3)], 2, 1, 1, 3),
    ],
    ids=["the same", "in another order", "grown", "shorter", "changed", "another", "with equal rows", "other ids"],
)
def test_rows_are_counted_by_their_ids_and_urls(
    lists: Lists, rows: list[str], same: int, new: int, gone: int, listed: int
) -> None:
    run = lists.run_of(BEFORE)
    found = compare.compare(run, lists.now(rows, run))
    assert found == Comparison(same, new, gone, listed)
    assert found.is_equal is (new == gone == 0)
    assert str(found) == f"{same} rows are the same, {new} are new, {gone} are gone"


def test_equal_rows_of_the_run_count_each(lists: Lists) -> None:
    run = lists.run_of(of("a", 1, 1, 1, 2))
    assert compare.compare(run, lists.now(of("a", 1), run)) == Comparison(1, 0, 3, 1)


def test_the_other_partition_is_beside_the_run_and_goes_with_whoever_needed_it(lists: Lists) -> None:
    run = lists.run_of(BEFORE)
    left_by_a_kill = beside(run, STAGED).urls / "rows-00000.parquet"
    left_by_a_kill.parent.mkdir()
    left_by_a_kill.write_bytes(b"half")
    with pytest.raises(KeyError), partitioned(lists.settings(of("b", 1)), run, lambda _: None) as listed:
        assert listed.urls == run.root / STAGED
        assert [batch.server_name for batch in load_batches(listed)] == ["pooled"]
        raise KeyError
    assert not listed.urls.exists()
    assert run.urls.exists()


def test_too_little_memory_is_one_sentence(lists: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    run = lists.run_of(BEFORE)
    listed = lists.now(BEFORE, run)

    def full(_: object) -> None:
        raise duckdb.OutOfMemoryException("out of memory")

    monkeypatch.setattr(compare, "run_files", full)
    with pytest.raises(UserError, match="the partition of the list needs more memory than this process may use"):
        compare.compare(run, listed)


def test_new_rows_get_batches_of_their_own_whose_numbers_follow_on(lists: Lists) -> None:
    run = lists.run_of([*of("a", *range(8)), *of("b", 1)])
    before = pq.read_table(run.batches_table).to_pylist()
    places = [(row["server_name"], row["partition_id"]) for row in before]
    assert places == [("a.org", 0), ("a.org", 1), ("pooled", 0)]
    moves = lists.add([*of("a", *range(13)), *of("c", 1), *of("b", 1)], run)
    assert list(moves.items())[-1] == (f"{ADDED}/batches.parquet", "urls/batches.parquet"), "the index is last"
    assert set(moves.values()) == {
        "urls/added-1-rows-00000.parquet",
        *(f"urls/{name}" for name in ("batches.parquet", "partition.json", "rejected.parquet", "servers.parquet")),
    }
    index = pq.read_table(run.batches_table)
    assert index.schema.equals(BATCH_SCHEMA)
    rows = index.to_pylist()
    assert rows[: len(before)] == before
    assert [row["batch_id"] for row in rows] == list(range(len(rows)))
    added = [(row["server_name"], row["partition_id"], row["rows"]) for row in rows[len(before) :]]
    assert added == [("a.org", 2, 3), ("a.org", 3, 2), ("pooled", 1, 1)]
    assert {row["file"] for row in rows[len(before) :]} == {"added-1-rows-00000.parquet"}


def test_a_run_that_is_extended_again_keeps_the_files_of_the_first_time(lists: Lists) -> None:
    run = lists.run_of(of("a", 1, 2, 3))
    for times in (1, 2, 3):
        numbers = range(1, 4 + 3 * times)
        moves = lists.add(of("a", *numbers), run)
        assert f"urls/added-{times}-rows-00000.parquet" in moves.values()
        found = [url for path in run_files(run) for url in pq.read_table(path)["identifier"].to_pylist()]
        assert sorted(found) == sorted(f"http://a.org/{number}.jpg" for number in numbers)
        assert [path.name for path in run_files(run)] == [
            "rows-00000.parquet", *(f"added-{number}-rows-00000.parquet" for number in range(1, times + 1)),
        ]  # fmt: skip


def test_the_tables_beside_the_batches_count_old_and_new_rows(lists: Lists) -> None:
    run = lists.run_of([*of("a", *range(5)), *of("b", 1), "7,mailto:me@a.org"])
    lists.add([*of("a", *range(3, 9)), *of("b", 1, 2), *of("c", 1), "8,ftp://c.org/x"], run)
    servers = pq.read_table(run.servers_table).to_pylist()
    batches = load_batches(run)
    assert {row["server_name"]: row["rows"] for row in servers} == {"a.org": 9, "b.org": 2, "c.org": 1}
    assert {row["server_name"]: row["batches"] for row in servers}["a.org"] == sum(
        batch.server_name == "a.org" for batch in batches
    )
    summary = load_partition_summary(run)
    assert (summary.input_rows, summary.accepted_rows) == (14, 12)
    assert sum(summary.rejected_by_reason.values()) == 2
    assert (summary.servers, summary.batches) == (3, len(batches))
    assert summary.dataset == "generic" and summary.read_as


def rejected(run: RunLayout) -> list[tuple[str | None, str | None]]:
    table = pq.read_table(run.rejected_table)
    assert table.schema.equals(REJECTED_SCHEMA)
    return sorted(zip(table["source_id"].to_pylist(), table["identifier"].to_pylist(), strict=True), key=str)


def test_a_rejected_row_of_either_list_stays_one_unless_the_other_has_it_as_a_row(lists: Lists) -> None:
    run = lists.run_of([*of("a", 1, 2), "3,mailto:of-both", "4,mailto:of-the-run", ",mailto:without-id"])
    lists.add([*of("a", 1, 2, 5), "3,mailto:of-both", "6,mailto:of-the-list", ",mailto:without-id"], run)
    assert rejected(run) == [
        ("3", "mailto:of-both"), ("4", "mailto:of-the-run"), ("6", "mailto:of-the-list"), (None, "mailto:without-id"),
    ]  # fmt: skip


def test_what_one_of_them_accepts_is_not_rejected_beside_it(lists: Lists) -> None:
    run = lists.run_of([*of("a", 1, 2, 3), "4,mailto:x"])
    listed = lists.now([*of("a", 1, 2, 4), "5,mailto:y"], run)

    def reject(layout: RunLayout, source_id: str, url: str) -> None:
        row = {"identifier": url, "source_id": source_id, "reason": "scheme", "file": None, "line": 1, "detail": None}
        pq.write_table(pa.Table.from_pylist([row], REJECTED_SCHEMA), layout.rejected_table)

    reject(run, "4", "http://a.org/4.jpg")
    reject(listed, "3", "http://a.org/3.jpg")
    added_rows(run, listed, lists.settings(BEFORE).downloader_parameters)
    assert rejected(beside(run, ADDED)) == [], "one reads them with keys that the other did not have"


def test_a_rejected_row_of_an_earlier_version_has_no_detail(lists: Lists) -> None:
    run = lists.run_of([*of("a", 1), "2,mailto:x"])
    table = pq.read_table(run.rejected_table)
    pq.write_table(table.drop_columns(["detail"]), run.rejected_table)
    lists.add([*of("a", 1, 3), "2,mailto:x"], run)
    assert rejected(run) == [("2", "mailto:x")]


def test_what_a_kill_left_beside_a_run_is_removed_first_and_nothing_is_left_after(lists: Lists) -> None:
    run = lists.run_of(["1,http://a.example/1.jpg"])
    for name in (STAGED, ADDED):
        (run.root / name).mkdir()
        (run.root / name / "old").touch()
    settings = lists.settings(["1,http://a.example/1.jpg", "2,http://a.example/2.jpg"])
    with partitioned(settings, run, lambda _: None) as listed:
        assert listed.urls == run.root / STAGED
        assert not (listed.urls / "old").exists()
        assert list(added_rows(run, listed, settings.downloader_parameters))[-1] == f"{ADDED}/batches.parquet"
        assert not (run.root / ADDED / "old").exists()
    assert not (run.root / STAGED).exists()
    with pytest.raises(UserError), partitioned(lists.settings(["1,nonsense"]), run, lambda _: None):
        pytest.fail("there is nothing to download")
    assert not (run.root / STAGED).exists()


def test_a_comparison_is_equal_if_nothing_is_new_or_gone() -> None:
    assert [Comparison(1, new, gone, 1).is_equal for new, gone in ((0, 0), (1, 0), (0, 1), (1, 1))] == [
        True, False, False, False,
    ]  # fmt: skip
