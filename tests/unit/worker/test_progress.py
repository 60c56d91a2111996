"""Reports of tasks add up."""

from __future__ import annotations

from ray_downloader.worker.progress import Progress, ProgressDelta


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
