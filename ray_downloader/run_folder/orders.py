"""The orders of a run's operator: one JSON line each in `schedules/orders.jsonl`, which is only ever appended to."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServerOrder:
    """What the operator wants of one server.

    Args:
        value: Requests/s, for `rate`.
    """

    action: str
    server: str
    value: float | None = None


class OrderFile:
    """The orders of a run, one JSON line each; only ever appended to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0

    def append(self, order: ServerOrder) -> None:
        """Give an order."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**asdict(order), "given_at_unix_s": time.time()}) + "\n")

    def new(self) -> list[ServerOrder]:
        """Orders given since the last call (all, at first)."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            whole_lines = file.read().rpartition(b"\n")
        self._read_bytes += len(whole_lines[0]) + len(whole_lines[1])
        orders = [json.loads(line) for line in whole_lines[0].splitlines()]
        return [ServerOrder(order["action"], order["server"], order["value"]) for order in orders]
