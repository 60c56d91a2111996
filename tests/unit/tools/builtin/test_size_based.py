"""Small images are named by the side they had when they were received."""

from __future__ import annotations

import pytest

from tests.support.stored import StoredRun, rows_of, run_here


@pytest.mark.parametrize(("threshold", "small"), [(20, []), (21, ["e"]), (90, ["e"]), (91, ["a", "b", "c", "d", "e"])])
def test_the_shorter_side_decides(run: StoredRun, threshold: int, small: list[str]) -> None:
    summary = run_here(run.tool("size_based", threshold_size=threshold))
    rows = rows_of(run.layout.tools / "size_based" / "filter_table" / "rows.csv")
    assert sorted(one["uuid"] for one in rows) == small
    assert summary["too_small"] == len(small)


def test_a_batch_that_is_not_finished_does_not_take_part(run: StoredRun) -> None:
    (run.layout.batch_folder("b.example:8080", 3) / "completed").unlink()
    assert run_here(run.tool("size_based", threshold_size=21))["images"] == 3
