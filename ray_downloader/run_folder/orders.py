"""The orders of a run's operator: one JSON line each in `schedules/orders.jsonl`, to which lines are only appended.

An order is on disk before it is carried out, so it outlives the restart of the process that was about to do so. A
process that starts first applies the orders in force.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ray_downloader.run_folder.small_json import parse_object

_ACTIONS = frozenset({"pause", "resume", "rate", "ban"})


@dataclass(frozen=True, slots=True)
class ServerOrder:
    """An operator's decision about one server.

    Args:
        action: `pause`, `resume`, `rate` or `ban`.
        server: A server (which may belong to a group), or a group.
        value: Requests/s, for `rate`.
        given_at_unix_s: When it was appended to the orders.
    """

    action: str
    server: str
    value: float | None = None
    given_at_unix_s: float = field(default=0.0, compare=False)


class OrderFile:
    """The orders of a run, one JSON line each; lines are only appended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0

    def append(self, order: ServerOrder) -> None:
        """Give an order; it is on disk when this returns."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        given = {**asdict(order), "given_at_unix_s": time.time()}
        with self._path.open("a+b") as file:
            # A line that a full disk or a lost machine has torn must not swallow this one.
            is_torn = file.seek(0, os.SEEK_END) > 0 and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"
            file.write(b"\n" * is_torn + json.dumps(given).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def new(self) -> list[ServerOrder]:
        """Orders given since the last call (all, at first)."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            whole_lines = file.read().rpartition(b"\n")
        self._read_bytes += len(whole_lines[0]) + len(whole_lines[1])
        return [order for line in whole_lines[0].split(b"\n") if (order := _parse(line)) is not None]


def _parse(line: bytes) -> ServerOrder | None:
    """The order in a line; None for one that was torn by a full disk or a lost machine."""
    try:
        order = parse_object(line)
        value = order.get("value")
        found = ServerOrder(
            str(order["action"]),
            str(order["server"]),
            None if value is None else float(value),
            float(order.get("given_at_unix_s", 0.0)),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    is_rate = found.action == "rate"
    is_order = found.action in _ACTIONS and isinstance(order["server"], str)
    return found if is_order and (not is_rate or (found.value is not None and 0 < found.value < math.inf)) else None


def damaged_lines(path: Path) -> list[int]:
    """Numbers of the lines that are no orders."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    return [number for number, line in enumerate(lines, 1) if line.strip() and _parse(line) is None]


def in_force(orders: Iterable[ServerOrder]) -> list[ServerOrder]:
    """The orders that still apply: for each server the last rate, and the last of pause, ban and resume."""
    latest: dict[tuple[str, bool], ServerOrder] = {}
    for order in orders:
        key = (order.server, order.action == "rate")
        latest.pop(key, None)
        latest[key] = order
    return list(latest.values())
