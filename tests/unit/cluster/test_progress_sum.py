"""The sums of a run go on where the actor that counts begins again at zero."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import pytest

from ray_downloader.cluster.progress_sum import ProgressSum
from ray_downloader.worker.progress import Progress, ProgressDelta

DELTA = ProgressDelta(
    settled={("a", ""): 2, ("a", "dns"): 1}, size_bytes=10, disallowed={"a": 1}, answered=3, unreached={"b": 1},
    unresolved=1, turned_away=1, holder="task", stored_bytes=5, statuses={("a", "200"): 2}, ttfb_s={"a": 0.5},
    decode_s=0.25, queues=(1, 2, 3), renditions={"a": 1}, rendition_bytes={"a": 4},
)  # fmt: skip


def counted(times: int, now_s: float = 1.0) -> Progress:
    progress = Progress()
    for _ in range(times):
        progress.add(DELTA, now_s)
    return progress


def test_without_a_restart_it_is_what_the_actor_says() -> None:
    total = ProgressSum()
    assert total.take(None) == Progress()
    assert total.take(counted(1)) == counted(1)
    assert total.take(counted(3)) == counted(3)
    assert total.take(None) == counted(3), "it does not answer"


def test_after_a_restart_what_was_counted_before_is_added() -> None:
    total = ProgressSum()
    total.take(counted(3))
    assert total.take(counted(1)) == counted(4)
    assert total.take(counted(2)) == counted(5)
    total.take(Progress())
    assert total.take(counted(1)) == counted(6), "and after another"


@pytest.mark.parametrize("name", [field.name for field in fields(Progress)])
def test_every_sum_is_added_and_the_latest_state_is_shown(name: str) -> None:
    total = ProgressSum()
    total.take(counted(2, now_s=5.0))
    found = getattr(total.take(counted(1, now_s=7.0)), name)
    latest = {"busy_at_s": 7.0, "queues": counted(1, now_s=7.0).queues}
    assert found == latest.get(name, getattr(counted(3), name))
    assert found


def test_what_it_returns_is_not_changed_by_what_comes_later() -> None:
    total = ProgressSum()
    total.take(counted(3))
    first = total.take(counted(1))
    total.take(counted(2))
    assert first == counted(4)
    assert isinstance(first.settled, Counter)
