"""States of servers in little memory: as objects, those of 10^6 servers would take 4 GB. Pure.

A state is kept as its JSON, compressed with the first one as a dictionary, as all of them have the same keys and most
the same values. What is asked again and again (`LearnedFacts`) is kept beside it, unpacked.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_RAW, _FASTEST = -15, 1


class LearnedFacts(NamedTuple):
    """What the driver and its watchers use of what was learned about a budget.

    Args:
        rate_rps: Its rate; None if it has no limit, or nothing is known.
        condition: `politeness.server.condition`.
        has_answered: Whether a server of it ever answered.
        has_served: Whether it ever delivered a file.
    """

    rate_rps: float | None = None
    condition: str = ""
    has_answered: bool = False
    has_served: bool = False

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> LearnedFacts:
        """Those of a state."""
        has_served = bool(state.get("successes"))
        has_answered = has_served or bool(state.get("has_answered"))
        return cls(state.get("rate_rps") or None, str(state.get("condition") or ""), has_answered, has_served)


class PackedStates(Mapping[str, Mapping[str, Any]]):
    """States by budget; reading one unpacks it."""

    def __init__(self) -> None:
        #: What is known about each budget without unpacking anything.
        self.facts: dict[str, LearnedFacts] = {}
        self._packed: dict[str, bytes] = {}
        self._pattern = b""

    def __setitem__(self, budget: str, state: Mapping[str, Any]) -> None:
        text = json.dumps(dict(state)).encode()
        self._pattern = self._pattern or text
        packer = zlib.compressobj(_FASTEST, zlib.DEFLATED, _RAW, zdict=self._pattern)
        self._packed[budget] = packer.compress(text) + packer.flush()
        self.facts[budget] = LearnedFacts.of(state)

    def __getitem__(self, budget: str) -> Mapping[str, Any]:
        state = json.loads(self.text_of(budget))
        assert isinstance(state, dict)
        return state

    def text_of(self, budget: str) -> str:
        """A state as JSON."""
        return zlib.decompressobj(_RAW, self._pattern).decompress(self._packed[budget]).decode()

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)
