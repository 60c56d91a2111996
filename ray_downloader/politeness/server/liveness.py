"""Parking of a server that cannot be reached: single probes on a growing delay, then it is dead."""

from __future__ import annotations

from ray_downloader.errors import ErrorKind

#: Connect and DNS failures in a row after which a server is parked.
FAILURES_TO_PARK = 5
#: A probe that is not reported within this time after its permit ended is given to another holder.
PROBE_TIMEOUT_S = 60.0
#: How soon the holder that probes speaks again, in case its permit lapsed unused.
RECHECK_S = 1.0
_UNREACHABLE = frozenset({ErrorKind.DNS, ErrorKind.CONNECT})


class Liveness:
    """Whether one host answers at all.

    Args:
        probe_delays_s: Waits before the first, second, ... probe; when the last one failed, the host is dead.
    """

    __slots__ = (
        "_delays_s",
        "_failures",
        "_probe_ends_s",
        "_probe_expires_s",
        "_probe_sent_s",
        "_prober",
        "_probes_failed",
        "parked_until_s",
    )

    def __init__(self, probe_delays_s: tuple[float, ...]) -> None:
        self._delays_s = probe_delays_s
        self._probe_expires_s = 0.0
        self._probe_ends_s = 0.0
        self._prober = ""
        self._forget()

    def _forget(self) -> None:
        self._failures = 0
        self._probes_failed = 0
        self._probe_sent_s: float | None = None
        self.parked_until_s: float | None = None

    @property
    def is_dead(self) -> bool:
        """Whether every probe failed."""
        return self.is_parked and self._probes_failed >= len(self._delays_s)

    @property
    def is_parked(self) -> bool:
        """Whether only probes are allowed."""
        return self.parked_until_s is not None

    def observe(self, kind: ErrorKind | None, ended_s: float) -> None:
        """Take in how a request ended. Whatever a host answers, it lives."""
        if kind not in _UNREACHABLE:
            self._forget()
            return
        self._failures += 1
        if not self.is_parked:
            if self._failures >= FAILURES_TO_PARK:
                self._park(ended_s)
        elif self._probe_sent_s is not None and ended_s >= self._probe_sent_s:
            self._probes_failed += 1
            self._park(ended_s)

    def wait_s(self, holder: str, now_s: float) -> float:
        """How long until `holder` may send a probe or is to say what came of its last; 0: now, if it is parked."""
        if self.parked_until_s is None:
            return 0.0
        if self._probe_sent_s is None:
            return max(0.0, self.parked_until_s - now_s)
        if holder == self._prober and now_s < self._probe_expires_s:
            return max(RECHECK_S, self._probe_ends_s - now_s)
        return max(0.0, self._probe_expires_s - now_s)

    def probe(self, holder: str, sent_s: float, ends_s: float) -> None:
        """A permit for a probe was given to `holder`, for use from `sent_s` to `ends_s`."""
        self._prober, self._probe_ends_s = holder, ends_s
        self._probe_sent_s, self._probe_expires_s = sent_s, ends_s + PROBE_TIMEOUT_S

    def has_nothing_under_way(self, holder: str, now_s: float) -> None:
        """What a holder says of itself: if it was to probe, it let the permit lapse, and another probe may go out."""
        if self._probe_sent_s is not None and holder == self._prober and now_s > self._probe_ends_s:
            self._probe_sent_s, self._probe_expires_s = None, now_s
            self.parked_until_s = now_s

    def _park(self, now_s: float) -> None:
        self._probe_sent_s = None
        left = self._delays_s[self._probes_failed :]
        self.parked_until_s = now_s + (left[0] if left else 0.0)
