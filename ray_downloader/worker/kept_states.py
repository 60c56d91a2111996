"""The states of all budgets of an actor: those at rest are packed, as 10^6 servers would take 6 GB.

A packed state is the whole object, so nothing about a budget is lost or changes by it. States that the run or time
could change (in trouble, waiting, with requests in flight) are never packed. Pure: the time is an argument.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import cast

from ray_downloader.politeness.server.state import ServerState

#: States of 6.4 kB each (measured) that are kept as they are; a packed one takes 0.2 kB, and 0.2 ms to pack.
UNPACKED = 10_000
#: How long nothing was heard about a budget before it is packed: as long as its holders are remembered.
REST_S = 30.0
#: States that are looked at for each one that is used, so that fewer are unpacked than packed.
PACKED_AT_ONCE = 4

_RAW, _FASTEST = -15, 1


class KeptStates:
    """States by budget.

    Args:
        unpacked: How many are not packed, however long they rest.
    """

    def __init__(self, unpacked: int = UNPACKED) -> None:
        #: States that are not packed: all that the run or time could change are among them.
        self.awake: dict[str, ServerState] = {}
        self._unpacked = unpacked
        #: When each of them was used last, the longest ago first.
        self._used_s: dict[str, float] = {}
        self._packed: dict[str, bytes] = {}
        #: Those of them that do not know of an outage of our own network yet.
        self._without_outage: set[str] = set()
        #: A typical pickle: all others consist of the same pieces, so they compress to a twentieth.
        self._pattern = b""

    def __len__(self) -> int:
        return len(self.awake) + len(self._packed)

    def __iter__(self) -> Iterator[str]:
        yield from self.awake
        yield from self._packed

    @property
    def packed(self) -> Iterator[str]:
        """Budgets whose states are packed."""
        return iter(self._packed)

    def add(self, budget: str, state: ServerState, now_s: float) -> None:
        """Keep a new state."""
        self.awake[budget] = state
        self._use(budget, now_s)

    def use(self, budget: str, now_s: float) -> ServerState | None:
        """The state of a budget, which may be changed; some of those that rest are packed meanwhile."""
        if budget in self._packed:
            self.awake[budget] = self._wake(budget, now_s)
        state = self.awake.get(budget)
        if state is not None:
            self._use(budget, now_s)
            self._pack_some(now_s)
        return state

    def _wake(self, budget: str, now_s: float) -> ServerState:
        state = self._unpack(self._packed.pop(budget))
        if budget in self._without_outage:
            self._without_outage.discard(budget)
            for is_outage in (True, False):
                state.note_outage(is_outage, now_s)
        return state

    def note_outage(self, is_outage: bool, now_s: float) -> list[str]:
        """Inform all about whether our own network is down; the budgets for which that changed something."""
        changed = [budget for budget, state in self.awake.items() if state.note_outage(is_outage, now_s)]
        if is_outage:
            self._without_outage.update(self._packed)
        return changed

    def look_at(self, budget: str) -> ServerState:
        """The state of a budget that is known, only to be read."""
        return self.awake.get(budget) or self._unpack(self._packed[budget])

    def _use(self, budget: str, now_s: float) -> None:
        self._used_s.pop(budget, None)
        self._used_s[budget] = now_s

    def _pack_some(self, now_s: float) -> None:
        for budget, used_s in list(islice(self._used_s.items(), PACKED_AT_ONCE)):
            if len(self.awake) <= self._unpacked or used_s >= now_s - REST_S:
                return
            if self.awake[budget].is_at_rest(now_s):
                self._packed[budget] = self._pack(self.awake.pop(budget))
                del self._used_s[budget]
            else:
                self._use(budget, now_s)  # looked at again after the others

    def _pack(self, state: ServerState) -> bytes:
        pickled = pickle.dumps(state, pickle.HIGHEST_PROTOCOL)
        self._pattern = self._pattern or pickled
        packer = zlib.compressobj(_FASTEST, zlib.DEFLATED, _RAW, zdict=self._pattern)
        return packer.compress(pickled) + packer.flush()

    def _unpack(self, packed: bytes) -> ServerState:
        unpacker = zlib.decompressobj(_RAW, self._pattern)
        return cast("ServerState", pickle.loads(unpacker.decompress(packed)))
