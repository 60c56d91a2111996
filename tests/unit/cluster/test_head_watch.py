"""When a silent head of Ray is lost."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from ray_downloader.cluster.head_watch import HEAD_PATIENCE_S, HeadWatch


@dataclass
class Head:
    """A head that can be silenced, and a clock; `watch` watches over it."""

    listens: bool = True
    now_s: float = 100.0
    watch: HeadWatch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = HeadWatch(lambda: self.listens, lambda: self.now_s)

    def is_lost_after(self, seconds: float) -> bool:
        self.now_s += seconds
        return self.watch.is_lost()


@pytest.fixture
def head() -> Head:
    return Head()


def test_a_head_that_listens_is_neither_silent_nor_lost(head: Head) -> None:
    assert not head.watch.is_silent
    assert not head.is_lost_after(0)
    assert not head.is_lost_after(1_000)
    assert not head.watch.is_silent


def test_a_silent_head_is_lost_after_six_seconds(head: Head) -> None:
    head.listens = False
    assert not head.is_lost_after(1_000)
    assert head.watch.is_silent
    assert not head.is_lost_after(5.9)
    assert head.is_lost_after(0.1)
    assert HEAD_PATIENCE_S == 6.0


def test_a_head_that_listens_again_has_its_whole_patience_again(head: Head) -> None:
    head.listens = False
    head.is_lost_after(0)
    head.listens = True
    assert not head.is_lost_after(10)
    assert not head.watch.is_silent
    head.listens = False
    assert not head.is_lost_after(10)
    assert not head.is_lost_after(5.9)
    assert head.is_lost_after(0.1)
