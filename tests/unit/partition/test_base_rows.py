"""Which rows of a list earlier runs have: found by source_id and URL, written by their numbers, and only if usable."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from ray_downloader.errors import UserError
from ray_downloader.output.batch_folder import BatchCounts
from ray_downloader.output.parquet import write_parquet
from ray_downloader.partition import base_rows
from ray_downloader.partition.base_rows import plan_base
from ray_downloader.partition.database import open_database
from ray_downloader.run_folder.base_runs import BasePlan, load_base_plan
from ray_downloader.run_folder.identity import picture_keys, picture_note
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES, RunLayout
from ray_downloader.run_folder.markers import write_marker
from tests.support.earlier_run import earlier_run, image_of
from tests.support.partitioned import partitioned_run

pytestmark = pytest.mark.stage

A = [f"http://a.example/{number:02d}.jpg" for number in range(12)]
B = [f"http://b.example/{number:02d}.jpg" for number in range(12)]


def plan(folder: Path, urls: list[str], *bases: RunLayout, **groups: Any) -> tuple[BasePlan, RunLayout]:
    settings, layout = partitioned_run(folder, urls, base=[str(base.root) for base in bases], **groups)
    return plan_base(settings, layout, bases), layout


def vanished(layout: RunLayout) -> list[dict[str, str]]:
    with layout.vanished_file.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_are_linked_by_their_numbers_over_batches_and_files(tmp_path: Path) -> None:
    base = earlier_run(tmp_path / "old", [*A, *B], failed=[B[2]])
    found, layout = plan(tmp_path / "new", [*A[3:], "http://a.example/new.jpg", *B], base)
    linked = pq.read_table(layout.base_table).to_pylist()
    assert [one["number"] for one in linked] == [*range(9), 10, 11, *range(13, 22)], "one is new, one failed"
    assert [one["row"] for one in linked] == [*range(3, 12), *range(2), *range(2, 11)]
    assert [found.files[one["file"]] for one in (linked[0], linked[-1])] == [
        (0, f"images/server_name={name}.example/partition_id=0/successes.parquet") for name in "ab"
    ]
    assert found.rows == {"a.example": 9, "b.example": 11}
    assert (found.total, found.vanished, found.is_taken, found.refetch) == (20, 3, False, None)
    assert found.runs == (str(base.root),)
    assert load_base_plan(layout) == found
    assert not (layout.root / ".base").exists()


def test_what_vanished_is_listed_with_how_it_ended(tmp_path: Path) -> None:
    base = earlier_run(tmp_path / "old", A, failed=[A[2]])
    found, layout = plan(tmp_path / "new", A[3:], base)
    assert [(one["identifier"], one["was"], one["base"]) for one in vanished(layout)] == [
        (A[0], "success", str(base.root)),
        (A[1], "success", str(base.root)),
        (A[2], "http_4xx", str(base.root)),
    ]
    assert all(one["uuid"] for one in vanished(layout))
    assert found.vanished == 3


def test_a_list_that_has_everything_leaves_no_table_of_what_vanished(tmp_path: Path) -> None:
    base = earlier_run(tmp_path / "old", A)
    settings, layout = partitioned_run(tmp_path / "new", A, base=[str(base.root)])
    layout.vanished_file.write_text("of an earlier list")
    assert plan_base(settings, layout, [base]).vanished == 0
    assert not layout.vanished_file.exists()


def test_what_vanished_has_no_formula(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = earlier_run(tmp_path / "old", A)
    named = base_rows._VANISHED_SQL.replace("SELECT source_id", "SELECT '=1+1' AS source_id")
    monkeypatch.setattr(base_rows, "_VANISHED_SQL", named)
    _, layout = plan(tmp_path / "new", A[1:], base)
    assert [one["source_id"] for one in vanished(layout)] == ["'=1+1"]


def test_without_finished_tables_nothing_is_linked(tmp_path: Path) -> None:
    _, base = partitioned_run(tmp_path / "old", A)
    base.images.mkdir()
    found, layout = plan(tmp_path / "new", A, base)
    assert (found.total, found.vanished, found.files) == (0, 0, ())
    assert pq.read_table(layout.base_table).num_rows == 0


def test_the_first_run_that_has_a_usable_picture_gives_it(tmp_path: Path) -> None:
    first, second = earlier_run(tmp_path / "1", A, failed=A[:2]), earlier_run(tmp_path / "2", A[:4])
    found, layout = plan(tmp_path / "new", A, first, second)
    linked = pq.read_table(layout.base_table).to_pylist()
    assert [found.files[one["file"]][0] for one in linked] == [1, 1, *[0] * 10]
    assert [one["row"] for one in linked] == [0, 1, *range(10)]


def test_a_table_that_is_damaged_counts_for_nothing(tmp_path: Path) -> None:
    base = earlier_run(tmp_path / "old", [*A, *B])
    table = base.batch_folder("a.example", 0) / "successes.parquet"
    table.write_bytes(table.read_bytes()[:-20])
    found, _ = plan(tmp_path / "new", [*A, *B], base)
    assert found.rows == {"b.example": 12}


def test_a_batch_without_its_marker_counts_for_nothing(tmp_path: Path) -> None:
    base = earlier_run(tmp_path / "old", [*A, *B])
    (base.batch_folder("b.example", 0) / "_completed").unlink()
    (base.batch_folder("a.example", 0) / ERRORS).unlink()
    found, _ = plan(tmp_path / "new", [*A, *B], base)
    assert found.rows == {"a.example": 12}


@pytest.mark.parametrize(
    ("groups", "total"),
    [
        ({}, 12),
        ({"image": {"min_size": 300}}, 12),
        ({"image": {"min_size": 301}}, 0),
        ({"image": {"max_aspect_ratio": 1.4}}, 12),
        ({"image": {"max_aspect_ratio": 1.3}}, 0),
        ({"politeness": {"opt_out": "strict"}}, 12),
    ],
    ids=["any", "as small", "too small", "as long", "too long", "no usage stated"],
)
def test_a_picture_is_taken_if_this_run_would_have_stored_it(
    tmp_path: Path, groups: dict[str, Any], total: int
) -> None:
    """Those of the earlier run are 300 x 400."""
    base = earlier_run(tmp_path / "old", A)
    assert plan(tmp_path / "new", A, base, **groups)[0].total == total


def test_a_row_with_a_checksum_is_taken_if_that_is_known_to_be_right(tmp_path: Path) -> None:
    dataset = {
        "dataset": {"columns": {"identifier": "url", "md5": "md5"}},
        "downloader_parameters": {"header": True},
    }
    base = earlier_run(tmp_path / "old", A)
    right = image_of(A[0]).hashsum_original
    _, layout = plan(tmp_path / "new", ["url,md5", f"{A[0]},{right}", f"{A[1]},{right}", f"{A[2]},"], base, **dataset)
    assert pq.read_table(layout.base_table)["number"].to_pylist() == [0, 2]


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("http://me:pw@a.example/1.jpg", "http://you:pw@a.example/1.jpg"),
        ("http://me@a.example/1.jpg", "http://a.example/1.jpg"),
        ("http://a.example/@1.jpg", "http://a.example/@1.jpg"),
    ],
)
def test_a_row_is_known_whatever_its_password(tmp_path: Path, there: str, here: str) -> None:
    base = earlier_run(tmp_path / "old", [there])
    assert plan(tmp_path / "new", [here], base)[0].total == 1


def test_an_at_sign_in_a_path_is_no_user(tmp_path: Path) -> None:
    base = earlier_run(tmp_path / "old", ["http://a.example/x@b.example/1.jpg"])
    found, _ = plan(tmp_path / "new", ["http://a.example/y@b.example/1.jpg", "http://b.example/1.jpg"], base)
    assert (found.total, found.vanished) == (0, 1)


def test_refetch_is_noted_and_an_old_plan_is_made_anew(tmp_path: Path) -> None:
    base = earlier_run(tmp_path / "old", A)
    found, layout = plan(tmp_path / "new", A, base, refetch="changed")
    assert found.refetch == "changed"
    (layout.root / ".base").mkdir()
    (layout.root / ".base" / "partition.duckdb").write_text("left by a kill")
    settings, _ = partitioned_run(tmp_path / "new", A[:5], base=[str(base.root)])
    assert plan_base(settings, layout, [base]).total == 5


def test_the_database_is_the_users_alone_and_is_removed_whatever_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list may have passwords."""
    base = earlier_run(tmp_path / "old", A)
    settings, layout = partitioned_run(tmp_path / "new", A, base=[str(base.root)])
    layout.base_file.write_text("of an earlier list")
    seen: list[tuple[int, bool]] = []

    @contextmanager
    def full(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
        seen.append((folder.stat().st_mode & 0o777, layout.base_file.exists()))
        (folder / "large").touch()
        with open_database(folder) as connection:
            yield connection

    monkeypatch.setattr(base_rows, "open_database", full)
    monkeypatch.setattr(base_rows, "_read", lambda *_: (_ for _ in ()).throw(duckdb.OutOfMemoryException("no more")))
    with pytest.raises(UserError, match="the partition of the list needs more memory than this process may use"):
        plan_base(settings, layout, [base])
    assert seen == [(0o700, False)], "a plan that is not true any more is removed first"
    assert not (layout.root / ".base").exists()


def rewritten(base: RunLayout, notes: list[str], *, is_confirmed: bool) -> None:
    """The table of pictures, written anew by another hand."""
    folder = base.batch_folder("a.example", 0)
    table = pq.ParquetFile(folder / SUCCESSES).read()
    schema = table.schema.remove_metadata()
    write_parquet(folder / SUCCESSES, schema, table.replace_schema_metadata().to_batches()[:1], [*notes, *notes])
    if is_confirmed:
        write_marker(folder, BatchCounts({"a.example": {"success": table.num_rows}}).to_json())


def test_a_table_that_is_not_as_its_marker_has_it_counts_for_nothing(tmp_path: Path) -> None:
    base = earlier_run(tmp_path / "old", A)
    rewritten(base, [], is_confirmed=False)
    assert plan(tmp_path / "new", A, base)[0].total == 0


@pytest.mark.parametrize(
    ("notes", "total"),
    [([], 12), (["same"], 12), (["other"], 0), (["same", "other"], 0), (["other", "same"], 0)],
    ids=["none", "same", "other", "then another", "another before"],
)
def test_only_tables_whose_pictures_are_all_of_this_kind_are_taken(
    tmp_path: Path, notes: list[str], total: int
) -> None:
    base = earlier_run(tmp_path / "old", A)
    settings, _ = partitioned_run(tmp_path / "other", A)
    kinds = {"same": picture_note(settings), "other": json.dumps({**picture_keys(settings), "image.quality": 1})}
    rewritten(base, [kinds[name] for name in notes], is_confirmed=True)
    found, _ = plan(tmp_path / "new", A, base)
    assert (found.total, found.vanished) == (total, 0), "its rows are known all the same"
