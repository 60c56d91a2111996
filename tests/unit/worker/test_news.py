"""What is new is reported until it was confirmed, and only once after that."""

from __future__ import annotations

from ray_downloader.worker.news import UnconfirmedChanges, UnconfirmedProgress
from ray_downloader.worker.progress import ProgressDelta


def delta(rows: int) -> ProgressDelta:
    return ProgressDelta({("a", ""): rows}, 0, holder="task")


def test_news_are_only_what_was_counted_since_the_confirmed_ones() -> None:
    progress = UnconfirmedProgress(5)
    progress.add(delta(1), 1.0)
    first = progress.news(None)
    assert first.progress.settled == {("a", ""): 1}
    progress.add(delta(10), 2.0)
    assert progress.news(first.number).progress.settled == {("a", ""): 10}


def test_news_that_did_not_arrive_are_repeated_with_what_came_since() -> None:
    progress = UnconfirmedProgress(0)
    progress.add(delta(1), 1.0)
    progress.news(None)
    progress.add(delta(10), 2.0)
    again = progress.news(None)
    assert again.progress.settled == {("a", ""): 11}
    assert progress.news(again.number).progress.settled == {}


def test_news_that_were_given_do_not_change_any_more() -> None:
    progress = UnconfirmedProgress(0)
    progress.add(delta(1), 1.0)
    given = progress.news(None)
    progress.add(ProgressDelta({("a", ""): 5}, 0, holder="other"), 2.0)
    progress.news(given.number)
    assert given.progress.settled == {("a", ""): 1}
    assert set(given.progress.queues) == {"task"}


def test_changes_come_in_turns_the_oldest_first_and_each_once() -> None:
    changes = UnconfirmedChanges(0)
    for budget in "abcab":
        changes.note(budget)
    assert changes.take((), most=2) == ["a", "b"]
    changes.note("a")
    assert changes.take({changes.number}, most=2) == ["c", "a"]
    assert changes.take({changes.number}, most=2) == []


def test_changes_that_were_not_confirmed_come_again_before_all_others() -> None:
    changes = UnconfirmedChanges(7)
    changes.note("a")
    changes.take((), most=1)
    changes.note("b")
    assert changes.take({1, 2}, most=5) == ["a", "b"]
    assert len(changes) == 0
    assert changes.take({3, changes.number, 4}, most=5) == []


def test_news_are_numbered_one_after_the_other_and_only_the_last_number_confirms() -> None:
    progress, changes = UnconfirmedProgress(5), UnconfirmedChanges(7)
    progress.add(delta(1), 1.0)
    changes.note("a")
    first, taken = progress.news(None), changes.take((), most=1)
    assert (first.number, changes.number, taken) == (6, 8, ["a"])
    second, again = progress.news(5), changes.take({7}, most=1)
    assert (second.number, changes.number, again) == (7, 9, ["a"]), "those are of other news"
    assert second.progress.settled == {("a", ""): 1}
    assert progress.news(7).progress.settled == {}
    assert changes.take({9}, most=1) == []


def test_when_a_task_was_last_busy_is_kept_by_news_without_news() -> None:
    progress = UnconfirmedProgress(0)
    progress.add(delta(1), 4.0)
    first = progress.news(None)
    second = progress.news(first.number)
    assert (second.progress.busy_at_s, set(second.progress.queues)) == (4.0, {"task"})
    progress.add(ProgressDelta({}, 0, holder="task", is_busy=False), 9.0)
    assert progress.news(second.number).progress.busy_at_s == 4.0


def test_as_many_changes_are_taken_as_are_wanted_and_the_rest_waits() -> None:
    changes = UnconfirmedChanges(0)
    for budget in "abc":
        changes.note(budget)
    assert changes.take((), most=1) == ["a"]
    assert len(changes) == 2
    assert changes.take({changes.number}, most=9) == ["b", "c"]
