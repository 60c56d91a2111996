"""The sums of a run grow by what is new, also where the actor that counts begins again at zero."""

from __future__ import annotations

from dataclasses import fields

import pytest

from ray_downloader.cluster.progress_sum import ProgressSum
from ray_downloader.worker.news import UnconfirmedProgress
from ray_downloader.worker.progress import Progress, ProgressDelta

DELTA = ProgressDelta(
    settled={("a", ""): 2, ("a", "dns"): 1}, size_bytes=10, disallowed={"a": 1}, answered=3, unreached={"b": 1},
    unresolved=1, turned_away=1, holder="task", stored_bytes=5, statuses={("a", "200"): 2}, ttfb_s={"a": 0.5},
    decode_s=0.25, queues=(1, 2, 3), renditions={"a": 1}, rendition_bytes={"a": 4},
    renditions_sized={"a": 1}, rendition_bytes_saved={"a": 7},
)  # fmt: skip


def counted(times: int, now_s: float = 1.0) -> Progress:
    progress = Progress()
    for _ in range(times):
        progress.add(DELTA, now_s)
    return progress


def test_each_report_counts_once_whatever_answers_are_lost_and_whichever_process_counts() -> None:
    total = ProgressSum()
    for number in (100, 9_000, 5):
        actor = UnconfirmedProgress(number)
        actor.add(DELTA, 1.0)
        actor.news(total.received)
        actor.add(DELTA, 1.0)
        total.take(actor.news(total.received))
        total.take(actor.news(total.received))
    assert total.total == counted(6)


@pytest.mark.parametrize("name", [field.name for field in fields(Progress)])
def test_every_sum_is_added_and_the_latest_state_is_shown(name: str) -> None:
    total, actor = ProgressSum(), UnconfirmedProgress(0)
    for now_s in (5.0, 5.0, 7.0):
        actor.add(DELTA, now_s)
        total.take(actor.news(total.received))
    found = getattr(total.total, name)
    latest = {"busy_at_s": 7.0, "queues": counted(1, now_s=7.0).queues}
    assert found == latest.get(name, getattr(counted(3), name))
    assert found


def test_a_task_that_reports_nothing_new_stays_busy_and_keeps_its_queues() -> None:
    total, actor = ProgressSum(), UnconfirmedProgress(0)
    actor.add(DELTA, 5.0)
    for _ in range(3):
        total.take(actor.news(total.received))
    assert (total.total.busy_at_s, total.total.queues) == (5.0, {"task": (5.0, (1, 2, 3))})
