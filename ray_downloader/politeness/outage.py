"""Whether our own network is at fault: requests fail to resolve or connect everywhere, and nothing answers. Pure.

One server that cannot be reached proves nothing; neither do several that never answered while others did, as happens
when only the dead servers of a list are left. Evidence against our own network are servers that answered before and
cannot be reached now, or, as long as no server has ever answered, any servers. If the list has only one or two, those
are enough, unless the network answers in their place: a host refuses the connection, or a resolver knows no such name.
Such an answer also ends an outage that began without any: maybe only a dead server is left to ask. For the same reason
an outage of a silent resolver ends as soon as a name is resolved, even if its server cannot be reached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

#: This many distinct servers must fail; one or two may be down by themselves.
LEAST_SERVERS = 3
#: Or this many look-ups must get no result, with no answer of any server in between.
LEAST_LOOK_UPS = 3
#: ... for this long, with no answer in between: a slow server's first answer may come after the failures of fast ones.
LEAST_S = 5.0
#: How long a failure counts. A parked server is probed within a minute.
WINDOW_S = 60.0


class NetworkState(str, Enum):
    """The state of our own network."""

    #: A server answers, or nothing indicates a fault.
    UP = "up"
    #: Requests have just begun to fail everywhere; the servers may be the reason.
    SUSPECT = "suspect"
    #: Requests fail everywhere, and keep failing.
    OUTAGE = "outage"


class OutageDetector:
    """Watches which requests are answered and which reach no server.

        up --failures all over--> suspect --for 5 s--> outage
        any --an answer--> up
        outage --an answer in a server's place, if it began without any--> up

    Args:
        has_answered: Whether a server answered in this run or an earlier one.
        has_anybody_answered: Whether any server answered in an earlier run.
        servers: How many servers the run has.
    """

    def __init__(
        self, has_answered: Callable[[str], bool], *, has_anybody_answered: bool, servers: int = LEAST_SERVERS
    ) -> None:
        self.state = NetworkState.UP
        self.since_s = 0.0
        self._has_answered = has_answered
        self._has_anybody_answered = has_anybody_answered
        self._servers = servers
        self._answered = 0
        self._turned_away = 0
        self._turned_away_while_up = 0
        #: Whether this is an outage in which nothing answered in a server's place either.
        self._is_silent = False
        self._failures: Mapping[str, int] = {}
        self._failed_at_s: dict[str, float] = {}
        self._unresolved_before = 0
        self._is_resolver_silent = False
        self._unresolved = 0
        #: Whether this is an outage of which nothing but the resolver's silence is evidence.
        self._is_of_resolver = False

    def __repr__(self) -> str:
        return f"<OutageDetector {self.state.value} since {self.since_s:.1f}, failing: {sorted(self._failed_at_s)}>"

    @property
    def failing(self) -> list[str]:
        """Servers that could not be reached recently, and have not answered since."""
        return sorted(self._failed_at_s)

    def observe(
        self, answered: int, unreached: Mapping[str, int], now_s: float, unresolved: int = 0, turned_away: int = 0
    ) -> NetworkState:
        """Process the sums since the start of the run.

        Args:
            answered: Requests that a server answered.
            unreached: Requests that reached no server, by server.
            now_s: Monotonic time.
            unresolved: Requests for whose names the resolver gave no answer. The resolver is ours, however many servers
                the list has.
            turned_away: Requests that got an answer of the network in place of the server's.
        """
        is_answered = answered > self._answered
        failed = [server for server, count in unreached.items() if count > self._failures.get(server, 0)]
        is_turned_away = turned_away > self._turned_away
        is_resolved = sum(unreached.values()) - sum(self._failures.values()) > unresolved - self._unresolved
        self._answered, self._failures, self._turned_away = answered, dict(unreached), turned_away
        self._unresolved = unresolved
        if is_answered or (is_turned_away and self._is_silent) or (is_resolved and self._is_of_resolver):
            self._unresolved_before = unresolved
            self._has_anybody_answered |= is_answered
            self._turned_away_while_up = turned_away
            self._failed_at_s.clear()
            self._enter(NetworkState.UP, now_s)
            return self.state
        self._failed_at_s.update(dict.fromkeys(failed, now_s))
        self._is_resolver_silent = unresolved - self._unresolved_before >= LEAST_LOOK_UPS
        if self.state is NetworkState.OUTAGE:
            return self.state
        for server in [name for name, at_s in self._failed_at_s.items() if at_s < now_s - WINDOW_S]:
            del self._failed_at_s[server]
        if not self._fails_all_over:
            self._turned_away_while_up = turned_away
            self._enter(NetworkState.UP, now_s)
        elif self.state is NetworkState.UP:
            self._enter(NetworkState.SUSPECT, now_s)
        elif now_s - self.since_s >= LEAST_S:
            self._enter(NetworkState.OUTAGE, now_s)
            self._is_silent = turned_away == self._turned_away_while_up
            self._is_of_resolver = self._is_resolver_silent and not self._cannot_connect
        return self.state

    @property
    def _fails_all_over(self) -> bool:
        return bool(self._is_resolver_silent and self._failed_at_s) or self._cannot_connect

    @property
    def _cannot_connect(self) -> bool:
        is_all = not (self._has_anybody_answered or self._turned_away) and len(self._failed_at_s) >= self._servers
        if len(self._failed_at_s) < LEAST_SERVERS and not is_all:
            return False
        return not self._has_anybody_answered or any(map(self._has_answered, self._failed_at_s))

    def _enter(self, state: NetworkState, now_s: float) -> None:
        if state is not self.state:
            self.state, self.since_s = state, now_s
            self._is_silent = self._is_of_resolver = False
