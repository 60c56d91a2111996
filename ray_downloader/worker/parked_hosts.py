"""The work of a group's hosts that cannot be reached, set aside while the group's other hosts get their requests.

Pure state of one `ServerQueue`. The budget decides when such a host is probed, and with which task's request
(`politeness/server/group_hosts.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from ray_downloader.politeness.messages import HostWait, Verdict
from ray_downloader.worker.robots_gate import RobotsRequest
from ray_downloader.worker.row import Row

NEVER = float("inf")
#: An answer to a probe is awaited for so long at most before the host is asked about again.
PROBE_TIMEOUT_S = 60.0

HostWork = Row | RobotsRequest


@dataclass(slots=True)
class _Parked:
    wait: HostWait
    until_s: float
    work: deque[HostWork] = field(default_factory=deque)
    #: What will be sent to find out whether it is well.
    probe: HostWork | None = None


def _host_of(work: object) -> str:
    """The host to which a request would go; empty for what is never parked."""
    return work.route.server if isinstance(work, Row | RobotsRequest) and work.route else ""


class ParkedHosts:
    """The parked work of one group, by host."""

    __slots__ = ("_hosts",)

    def __init__(self) -> None:
        self._hosts: dict[str, _Parked] = {}

    def __bool__(self) -> bool:
        return any(parked.work for parked in self._hosts.values())

    def takes(self, work: object) -> bool:
        """Park the work if it is for a host that waits."""
        parked = self._hosts.get(_host_of(work)) if self._hosts else None
        if parked is None or parked.probe is work:
            return False
        assert isinstance(work, Row | RobotsRequest)
        parked.work.append(work)
        return True

    def update(
        self, waits: Sequence[HostWait], asked: Collection[str], now_s: float
    ) -> tuple[list[HostWork], list[HostWork]]:
        """Process what a lease says about the hosts; work of those that it newly names is yet to be parked.

        Args:
            waits: The hosts that cannot be reached; all others can.
            asked: Those about which the lease was requested.
            now_s: The worker's clock.

        Returns:
            The work of hosts that are well again, and probes.
        """
        named = {wait.host for wait in waits}
        freed = [work for host, parked in self._hosts.items() if host not in named for work in parked.work]
        self._hosts = {host: parked for host, parked in self._hosts.items() if host in named}
        probes = []
        for wait in waits:
            parked = self._hosts.setdefault(wait.host, _Parked(wait, now_s))
            parked.wait, parked.until_s = wait, now_s + wait.wait_s
            if wait.verdict is Verdict.PAUSED and wait.wait_s <= 0 and wait.host in asked and parked.work:
                parked.probe = parked.work.popleft()
                probes.append(parked.probe)
                parked.until_s = now_s + PROBE_TIMEOUT_S
        return freed, probes

    def sent(self, work: object) -> None:
        """A request was sent: should it be a probe that fails, it waits like the others."""
        parked = self._hosts.get(_host_of(work)) if self._hosts else None
        if parked is not None:
            parked.probe = None

    def due(self, now_s: float) -> tuple[str, ...]:
        """Hosts about which the budget should be asked."""
        return tuple(host for host, parked in self._waiting() if parked.until_s <= now_s)

    @property
    def next_s(self) -> float:
        """When the next one is due; `NEVER` if none waits."""
        return min((parked.until_s for _, parked in self._waiting()), default=NEVER)

    def _waiting(self) -> Iterable[tuple[str, _Parked]]:
        return ((host, parked) for host, parked in self._hosts.items() if parked.work)

    def take_lost(self) -> list[tuple[HostWork, HostWait]]:
        """Remove the work of hosts that were given up, with the last word on them."""
        lost = []
        for parked in self._hosts.values():
            if parked.wait.verdict is not Verdict.PAUSED:
                lost += [(work, parked.wait) for work in parked.work]
                parked.work.clear()
        return lost

    def take_of(self, hosts: Collection[str]) -> list[HostWork]:
        """Remove the work of these hosts."""
        taken: list[HostWork] = []
        for host in hosts:
            if host in self._hosts:
                taken += self._hosts[host].work
                self._hosts[host].work.clear()
        return taken

    def take_all(self) -> list[HostWork]:
        """Remove everything."""
        taken = [work for parked in self._hosts.values() for work in parked.work]
        self._hosts.clear()
        return taken

    def rows(self) -> list[Row]:
        """All rows."""
        return [work for parked in self._hosts.values() for work in parked.work if isinstance(work, Row)]
