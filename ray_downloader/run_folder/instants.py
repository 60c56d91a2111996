"""When something was saved, so that its age is known even if the machine's clock was set since.

An hour by which a clock is put forward while a run is stopped must not end the hour that a server asked for.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

SAVED_AT = "saved_at_unix_s"
_BOOT, _SAVED_AFTER_BOOT = "saved_boot_id", "saved_after_boot_s"


class Instant(NamedTuple):
    """A moment, by the clock and by the time since the machine's start.

    Args:
        unix_s: Unix time.
        boot_id: Which start of which machine; empty if the system does not say.
        after_boot_s: Seconds since then, also those in which the machine was suspended.
    """

    unix_s: float
    boot_id: str = ""
    after_boot_s: float = 0.0

    @classmethod
    def now(cls) -> Instant:
        """The present moment."""
        boot_id = _boot_id()
        return cls(time.time(), boot_id, _after_boot_s() if boot_id else 0.0)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Instant:
        """When a state was saved; the beginning of time if it does not say."""
        saved_at, boot_id, after_boot_s = (state.get(key) for key in (SAVED_AT, _BOOT, _SAVED_AFTER_BOOT))
        unix_s = float(saved_at) if isinstance(saved_at, int | float) else 0.0
        if isinstance(boot_id, str) and isinstance(after_boot_s, int | float):
            return cls(unix_s, boot_id, float(after_boot_s))
        return cls(unix_s)

    def in_state(self) -> dict[str, Any]:
        """Entries of a state that is saved now."""
        since_boot = {_BOOT: self.boot_id, _SAVED_AFTER_BOOT: self.after_boot_s} if self.boot_id else {}
        return {SAVED_AT: self.unix_s, **since_boot}

    def since(self, earlier: Instant) -> float:
        """Seconds since another moment, less than 0 if that is later; by the clocks if machines or starts differ."""
        if self.boot_id and self.boot_id == earlier.boot_id:
            return self.after_boot_s - earlier.after_boot_s
        return self.unix_s - earlier.unix_s


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def _after_boot_s() -> float:
    assert sys.platform == "linux", "only called where the system says which start this is"
    return time.clock_gettime(time.CLOCK_BOOTTIME)
