"""Whether a server's name is gone: the resolver reports so repeatedly, and patience cannot change that. Pure."""

from __future__ import annotations

#: This many look-ups must find no such name ...
LOOK_UPS = 3
#: ... over this long, with none in between that found it: a zone that is being republished is back within seconds.
OVER_S = 30.0
#: Answers closer together may be one look-up: the fetcher remembers this long that a name does not exist.
REMEMBERED_S = 10.0


class NameWatch:
    """What the resolver reported about one host's name."""

    __slots__ = ("_first_s", "_last_s", "_look_ups")

    def __init__(self) -> None:
        self._look_ups = 0
        self._first_s = self._last_s = 0.0

    @property
    def is_gone(self) -> bool:
        """Whether the server no longer exists."""
        return self._look_ups >= LOOK_UPS and self._last_s - self._first_s >= OVER_S

    def observe(self, *, is_no_such_name: bool, ended_s: float) -> None:
        """Process the end of a request."""
        if not is_no_such_name:
            self._look_ups = 0
        elif not self._look_ups:
            self._look_ups, self._first_s, self._last_s = 1, ended_s, ended_s
        elif ended_s - self._last_s >= REMEMBERED_S:
            self._look_ups += 1
            self._last_s = ended_s
