"""A unit is done once its marker says so, for what it reads and how."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ray_downloader.errors import UserError
from ray_downloader.tools.base import Unit, unit_of_each_batch
from tests.support.stored import StoredRun, received, row


def test_a_unit_is_done_for_its_stamp_only(tmp_path: Path) -> None:
    unit = Unit(tmp_path / "unit", (), "one")
    assert unit.counts() is None
    unit.complete({"images": 3})
    assert unit.counts() == Counter(images=3)
    assert Unit(tmp_path / "unit", (), "two").counts() is None
    assert Unit(tmp_path / "other", (), "one").counts() is None
    assert (tmp_path / "unit" / "_completed").read_text("utf-8") == '{"stamp": "one", "counts": {"images": 3}}\n'


def test_there_is_a_unit_for_each_batch_named_by_images_and_parameters(run: StoredRun) -> None:
    context = run.tool("stats").context
    units = unit_of_each_batch(context, "results", {"size": 1})
    assert [unit.batches for unit in units] == [(batch,) for batch in context.batches]
    assert units[1].folder == run.layout.tools / "stats" / "results" / "server_name=b.example%3A8080" / "partition_id=3"
    others = unit_of_each_batch(context, "results", {"size": 2})
    assert all(one.stamp != other.stamp for one, other in zip(units, others, strict=True))
    run.add([row("new", received(7))])
    changed = unit_of_each_batch(run.tool("stats").context, "results", {"size": 1})
    assert [one.stamp == other.stamp for one, other in zip(units, changed, strict=True)] == [False, True]


def test_a_tool_that_only_counts_has_no_units_and_nothing_to_publish(run: StoredRun) -> None:
    tool = run.tool("stats")
    assert tool.work() is None
    with pytest.raises(UserError, match=r"tool=stats changes no images.*apply"):
        tool.staged()


@pytest.mark.parametrize(
    "marker", ["", "[]", "{", '{"counts": {}}', '{"stamp": "one"}', '{"stamp": "one", "counts": 3}']
)
def test_a_unit_whose_marker_is_damaged_is_done_again(tmp_path: Path, marker: str) -> None:
    unit = Unit(tmp_path / "unit", (), "one")
    unit.complete({})
    (tmp_path / "unit" / "_completed").write_text(marker)
    assert unit.counts() is None
