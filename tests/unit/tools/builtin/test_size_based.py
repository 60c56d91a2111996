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
    (run.layout.batch_folder("b.example:8080", 3) / "_completed").unlink()
    assert run_here(run.tool("size_based", threshold_size=21))["images"] == 3


def test_the_list_says_how_small_each_image_was(run: StoredRun) -> None:
    assert run_here(run.tool("size_based", threshold_size=21)) == {"threshold_size": 21, "images": 5, "too_small": 1}
    (one,) = rows_of(run.layout.tools / "size_based" / "filter_table" / "rows.csv")
    assert one == {
        "uuid": "e", "source_id": "id-e", "server_name": "b.example:8080", "partition_id": "3", "row": "1",
        "height": "20", "width": "30",
    }  # fmt: skip
