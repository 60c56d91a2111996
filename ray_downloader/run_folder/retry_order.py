"""`retry_errors` as an order that is kept in the run folder: which errors to retry, and whether all have been retried.

Each row is tried once per order, however often the run stops in between: results under an order carry its number, in
the names of journals and in the marker of a batch. No clock is involved, as the clocks of two nodes differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ray_downloader.errors import ErrorKind
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.small_json import read_object

_NUMBER_OF_JOURNAL = re.compile(r"-retry(\d+)-")


@dataclass(frozen=True, slots=True)
class RetryOrder:
    """Errors that are to be retried.

    Args:
        number: Counts the orders of a run; 0 is no order.
        kinds: Errors of these kinds count as left to do, unless they were recorded under this order.
        started_at: When it was given, in ISO 8601.
        is_finished: Whether every such row has been tried.
    """

    number: int = 0
    kinds: tuple[ErrorKind, ...] = ()
    started_at: str = ""
    is_finished: bool = True

    @property
    def kinds_left(self) -> frozenset[str]:
        """Kinds of error that still count as left to do."""
        return frozenset() if self.is_finished else frozenset(str(kind) for kind in self.kinds)

    def attempt_name(self, holder: str) -> str:
        """The name of a task's journals, which shows under which order they were written."""
        return f"retry{self.number}-{holder}" if self.number else holder

    def wrote(self, journal: Path) -> bool:
        """Whether a journal was written under this order."""
        found = _NUMBER_OF_JOURNAL.search(journal.name)
        return (int(found[1]) if found else 0) == self.number


NO_RETRY = RetryOrder()


def load_retry_order(layout: RunLayout) -> RetryOrder:
    """The newest order of the run, finished or not; `NO_RETRY` if there is none."""
    try:
        values = read_object(layout.retry_order_file)
        kinds = tuple(ErrorKind(kind) for kind in values["kinds"])
        return RetryOrder(int(values["number"]), kinds, str(values["started_at"]), bool(values["is_finished"]))
    except (OSError, ValueError, KeyError, TypeError):
        return NO_RETRY


def begin_retry(layout: RunLayout, kinds: Sequence[ErrorKind], now: str) -> RetryOrder:
    """The order that applies from now on.

    1. The latest order stays in force if no kinds are given, or if it is unfinished and for the same kinds.
    2. Otherwise `kinds` form a new order.

    Args:
        kinds: The value of `retry_errors`.
        now: The time, in ISO 8601.
    """
    known = load_retry_order(layout)
    if not kinds or (not known.is_finished and set(known.kinds) == set(kinds)):
        return known
    order = RetryOrder(known.number + 1, tuple(kinds), now, is_finished=False)
    _save(layout, order)
    return order


def finish_retry(layout: RunLayout, order: RetryOrder) -> None:
    """Record that every row of the order has been tried."""
    if not order.is_finished:
        _save(layout, replace(order, is_finished=True))


def _save(layout: RunLayout, order: RetryOrder) -> None:
    values = {
        "number": order.number,
        "kinds": [str(kind) for kind in order.kinds],
        "started_at": order.started_at,
        "is_finished": order.is_finished,
    }
    write_text(layout.retry_order_file, json.dumps(values, indent=2) + "\n")
