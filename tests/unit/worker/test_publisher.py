"""Settled batches are published beside the loop, in their order, and a failure is not lost."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from ray_downloader.worker.publisher import Publisher


def work(name: str, published: list[str], error: Exception | None = None) -> Any:
    def publish() -> str:
        published.append(name)
        if error:
            raise error
        return f"counts of {name}"

    return SimpleNamespace(batch=name, publish=publish)


def one_thread() -> Executor:
    return ThreadPoolExecutor(1)


def test_what_was_settled_before_comes_first_and_each_has_its_counts() -> None:
    published: list[str] = []
    publisher = Publisher([work("a", published), work("b", published)], one_thread)
    publisher.publish(work("c", published))
    assert publisher.finish() == [("a", "counts of a"), ("b", "counts of b"), ("c", "counts of c")]
    assert published == ["a", "b", "c"]


def test_a_batch_that_cannot_be_written_is_told_at_the_end() -> None:
    publisher = Publisher([], one_thread)
    publisher.publish(work("a", [], OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        publisher.finish()


def test_no_thread_is_left() -> None:
    made: list[ThreadPoolExecutor] = []

    def executor() -> Executor:
        made.append(ThreadPoolExecutor(1))
        return made[0]

    assert Publisher([], executor).finish() == []
    with pytest.raises(RuntimeError, match="shutdown"):
        made[0].submit(print)
