"""`retry_errors` as an order that is kept in the run folder: which errors are tried again, and whether all have been.

Each row is tried once per order, however often the run stops meanwhile: what an order settled carries its number, in
the names of journals and in the marker of a batch. No clock decides, as those of two nodes differ.
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

_NUMBER_OF_JOURNAL = re.compile(r"-retry(\d+)-")


@dataclass(frozen=True, slots=True)
class RetryOrder:
    """Errors that are to be tried again.

    Args:
        number: Counts the orders of a run; 0 is no order.
        kinds: Errors of these kinds count as left to do, unless this order made them.
        started_at: When it was given, in ISO 8601.
        is_finished: Every such row has been tried.
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
        """The name of a task's journals, by which is known under which order they were written."""
        return f"retry{self.number}-{holder}" if self.number else holder

    def wrote(self, journal: Path) -> bool:
        """Whether a journal was written under this order."""
        found = _NUMBER_OF_JOURNAL.search(journal.name)
        return (int(found[1]) if found else 0) == self.number


NO_RETRY = RetryOrder()


def load_retry_order(layout: RunLayout) -> RetryOrder:
    """The newest order of the run, finished or not; `NO_RETRY` where there is none."""
    try:
        values = json.loads(layout.retry_order_file.read_text("utf-8"))
        kinds = tuple(ErrorKind(kind) for kind in values["kinds"])
        return RetryOrder(int(values["number"]), kinds, str(values["started_at"]), bool(values["is_finished"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return NO_RETRY


def begin_retry(layout: RunLayout, kinds: Sequence[ErrorKind], now: str) -> RetryOrder:
    """The order that counts from now on.

    1. An unfinished order for the same kinds, or one that was given before and no other now, is continued.
    2. Otherwise `kinds` are a new order.

    Args:
        kinds: What `retry_errors` says.
        now: The time, in ISO 8601.
    """
    known = load_retry_order(layout)
    if not kinds or (not known.is_finished and set(known.kinds) == set(kinds)):
        return known
    order = RetryOrder(known.number + 1, tuple(kinds), now, is_finished=False)
    _save(layout, order)
    return order


def finish_retry(layout: RunLayout, order: RetryOrder) -> None:
    """Every row of the order has been tried."""
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
