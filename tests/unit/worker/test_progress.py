"""Reports of tasks add up."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ray_downloader.worker.progress import SILENT_S, Progress, ProgressDelta

#: Something of everything.
REPORT = ProgressDelta(
    settled={("a", ""): 1, ("b", "dns"): 2}, size_bytes=3, disallowed={"a": 4}, answered=5, unreached={"b": 6},
    unresolved=7, turned_away=8, holder="task", is_busy=True, stored_bytes=9, statuses={("a", "200"): 10},
    ttfb_s={"a": 0.5}, decode_s=1.5, queues=(1, 2, 3), renditions={"a": 11}, rendition_bytes={"a": 12},
    renditions_sized={"a": 13}, rendition_bytes_saved={"a": 14},
)  # fmt: skip
SUMMED = {field.name for field in fields(ProgressDelta)} - {"holder", "is_busy", "queues"}


def times(count: int, value: Any) -> Any:
    return {key: count * one for key, one in value.items()} if isinstance(value, dict) else count * value


def test_whatever_tasks_report_adds_up_and_so_do_the_sums_of_several_counters() -> None:
    total, merged = Progress(), Progress()
    for at_s in (1.0, 2.0, 3.0):
        total.add(REPORT, at_s)
    merged.merge(total)
    merged.merge(total)
    for name in SUMMED:
        assert getattr(total, name) == times(3, getattr(REPORT, name)), name
        assert getattr(merged, name) == times(6, getattr(REPORT, name)), name
    assert (merged.busy_at_s, merged.queues) == (3.0, {"task": (3.0, (1, 2, 3))})


def test_a_report_of_nothing_changes_no_sum() -> None:
    total = Progress()
    total.add(ProgressDelta({}, 0), 1.0)
    assert not any(getattr(total, name) for name in SUMMED)
    assert not any(getattr(Progress(), name) for name in (*SUMMED, "busy_at_s", "queues"))
    assert total.queues == {"": (1.0, (0, 0, 0))}


def test_queues_are_those_of_tasks_that_still_report() -> None:
    total = Progress()
    total.add(ProgressDelta({}, 0, holder="ended", queues=(1, 1, 1)), 0.0)
    total.add(ProgressDelta({}, 0, holder="one", queues=(1, 2, 3)), SILENT_S)
    assert set(total.queues) == {"ended", "one"}
    total.add(ProgressDelta({}, 0, holder="two", queues=(4, 5, 6)), SILENT_S + 0.1)
    assert total.queues == {"one": (SILENT_S, (1, 2, 3)), "two": (SILENT_S + 0.1, (4, 5, 6))}


def test_a_report_says_nothing_that_it_does_not_say() -> None:
    delta = ProgressDelta({}, 0)
    assert (delta.answered, delta.holder, delta.is_busy) == (0, "", True)
    assert (delta.disallowed, delta.unreached) == ({}, {})
    progress = Progress()
    assert (progress.size_bytes, progress.answered, progress.busy_at_s) == (0, 0, 0.0)


def test_all_counts_add_up_and_the_last_busy_moment_is_kept() -> None:
    progress = Progress()
    first = ProgressDelta({("a", ""): 1}, 10, {"a": 2}, 3, {"b": 4}, holder="one")
    second = ProgressDelta(
        {("a", ""): 1, ("a", "dns"): 5}, 20, {"a": 1, "c": 1}, 1, {"b": 1}, unresolved=2, holder="two", is_busy=False
    )
    progress.add(first, 7.0)
    progress.add(second, 9.0)
    assert progress.settled == {("a", ""): 2, ("a", "dns"): 5}
    assert progress.disallowed == {"a": 3, "c": 1}
    assert progress.unreached == {"b": 5}
    assert progress.unresolved == 2
    assert (progress.size_bytes, progress.answered, progress.busy_at_s) == (30, 4, 7.0)
