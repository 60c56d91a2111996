"""What must hold of every run of every world. Each function returns one sentence per breach; none: it holds."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import cast

from ray_downloader.errors import ErrorKind, ExitCode
from ray_downloader.politeness.server.condition import MOST_BY_ONE_URL_S
from tests.simulation import oracle
from tests.simulation.listing import row_uuid
from tests.simulation.oracle import IMAGE
from tests.simulation.origin import Arrival
from tests.simulation.simulation import Run
from tests.simulation.world import (
    ActorRestarted,
    Drained,
    Fails,
    NodeLost,
    Ordered,
    Requeued,
    WorkerKilled,
)

#: So many URLs must state waits at the same time where many URLs are refused for themselves.
TO_BE_BELIEVED = 3
#: Permits that other slices hold when a server says stop end within their lease.
LEASE_S = 2.6
#: An order reaches all of them: the driver looks for it twice a second.
ORDER_S = LEASE_S + 1.0
#: Faults that end tasks where they are.
_KILLS = (WorkerKilled, NodeLost, Requeued)
#: What an actor learned after its last save is lost with it.
SAVED_S = 3.0
#: Permits due in the same moment: floats.
_ROUNDING = 0.01
MAX_CONNECTIONS = 4
BOUND_SHARE = 1.3
#: Start-up, slices, learning a rate from below.
BOUND_S = 120.0
PATIENCE_S = 900.0
#: Requests that must fail in turn before it counts as trouble (`politeness.server.runs`).
FAILURES_IN_TURN = 5
REQUESTS_PER_ROW = 1.05

Invariant = Callable[[Run], Iterator[str]]


def terminates(run: Run) -> Iterator[str]:
    """It comes to an end."""
    if run.never_ended:
        yield run.never_ended
    elif run.exits[-1] is None:
        yield f"{len(run.exits)} runs and none comes to an end"


def nothing_crashes(run: Run) -> Iterator[str]:
    """No slice raises, and no row ends as `internal`."""
    yield from (f"a slice raised {crash!r}" for crash in run.crashes)
    for number, row in enumerate(run.world.rows):
        uuid = row_uuid(number, 0)
        if "internal" in run.settled.get(uuid, []) and row.fate != Fails(ErrorKind.INTERNAL):
            yield f"row {number} ended as internal: {run.messages[uuid]}"
    if ExitCode.FAILED in run.exits:
        yield "a run ended with exit 1"


def every_row_is_settled_once(run: Run) -> Iterator[str]:
    """Every input row is in exactly one of successes and errors; in none only where the run says exit 3."""
    is_finished = bool(run.exits) and run.exits[-1] == ExitCode.SETTLED
    for number, row in enumerate(run.world.rows):
        for copy in range(row.copies):
            ends = run.settled.get(row_uuid(number, copy), [])
            if len(ends) > 1:
                yield f"row {number} is settled {len(ends)} times: {ends}"
            elif not ends and is_finished:
                yield f"row {number} is not settled, and the run says exit 0"


def every_image_comes(run: Run) -> Iterator[str]:
    """Every image that the world would give is there, and what cannot come ends with its own reason."""
    for number, row in enumerate(run.world.rows):
        ends = oracle.ends_of(run.world, number)
        for copy in range(row.copies):
            uuid = row_uuid(number, copy)
            for kind in run.settled.get(uuid, []):
                if kind not in ends:
                    wanted = " or ".join(sorted(end or "an image" for end in ends))
                    was = kind or "an image"
                    yield f"row {number} ({row.fate}) ended as {was}, not as {wanted}: {run.messages.get(uuid, '')}"
                elif kind == IMAGE and run.messages[uuid] != f"picture of {number}":
                    yield f"row {number} has the {run.messages[uuid]}"


def no_rate_is_exceeded(run: Run) -> Iterator[str]:
    """In any window of w seconds a server sees at most `ceiling * w + burst` requests, also across restarts."""
    burst = int(run.world.politeness.get("burst", 1))  # type: ignore[call-overload]
    ceiling_rps = oracle.ceiling_rps(run.world)
    for budget, log in _logs(run).items():
        excess, at_s = widest_excess([arrival.at_s for arrival in log], ceiling_rps)
        if excess > burst + _ROUNDING:
            yield f"{budget} saw {excess:.2f} requests more than {ceiling_rps:g}/s until {at_s:.2f} s"


def _logs(run: Run) -> dict[str, list[Arrival]]:
    """What came to the servers of each budget, in order."""
    return {
        budget: sorted((one for number in members for one in run.arrivals[number]), key=lambda one: one.at_s)
        for budget, members in run.world.budgets().items()
    }


def no_more_connections_than_allowed(run: Run) -> Iterator[str]:
    """At most `max_connections` requests are under way at a server."""
    most = int(run.world.politeness.get("max_connections", MAX_CONNECTIONS))  # type: ignore[call-overload]
    for budget, log in _logs(run).items():
        under_way: list[Arrival] = []
        for arrival in log:
            under_way = [*(one for one in under_way if one.ended_s > arrival.at_s), arrival]
            if len(under_way) > most:
                yield f"{budget} had {len(under_way)} requests at once at {arrival.at_s:.2f} s"
                break


def every_retry_after_is_kept(run: Run) -> Iterator[str]:
    """After a `Retry-After` of the server nothing comes before that time; after one of a URL, that URL does not."""
    for server, log in zip(run.world.servers, run.arrivals, strict=True):
        told: set[str] = set()
        failed: set[str] = set()
        lasting: dict[str, float] = {}
        for arrival in log:
            wait_s = arrival.answer.retry_after_s
            is_odd = arrival.url in failed
            failed |= {arrival.url} if arrival.is_failure else set()
            told |= {arrival.url} if wait_s else set()
            if wait_s and wait_s > MOST_BY_ONE_URL_S and len(told) < 2 and not arrival.answer.is_of_url:
                continue  # so long a wait is confirmed by another URL
            if is_odd and not arrival.answer.is_of_url:
                continue  # a URL that fails while others are served does not speak for its server
            if wait_s and not arrival.answer.is_of_url:
                lasting = {url: until_s for url, until_s in lasting.items() if until_s > arrival.at_s}
                lasting[arrival.url] = arrival.ended_s + wait_s
                if len(lasting) < TO_BE_BELIEVED and oracle.refuses_by_url(run.world, server):
                    continue  # nor do one or two where so many are refused for themselves
            if arrival.answer.is_of_url and any(isinstance(one, _KILLS) for one in run.world.faults):
                continue  # what a row has learned is lost with its task
            if not wait_s or arrival.is_cut or _is_forgotten(run, arrival.ended_s):
                continue
            if arrival.answer.is_of_url:
                wait_s = min(wait_s, float(run.world.politeness.get("patience_s", PATIENCE_S)))  # type: ignore[arg-type]
            start_s, end_s = arrival.ended_s + LEASE_S, arrival.ended_s + min(wait_s, 86_400.0)
            for other in log:
                is_meant = other.url == arrival.url if arrival.answer.is_of_url else True
                if is_meant and start_s < other.at_s < end_s - 1.0:
                    yield (
                        f"{server.name} said Retry-After {wait_s:g} at {arrival.ended_s:.1f} s "
                        f"and was asked at {other.at_s:.1f} s for {other.url}"
                    )
                    return


def _is_forgotten(run: Run, learned_s: float) -> bool:
    """Whether an actor died before it could save that."""
    return any(
        learned_s - 1.0 <= fault.at_s <= learned_s + SAVED_S
        for fault in run.world.faults
        if isinstance(fault, ActorRestarted | NodeLost | Requeued | Drained)
    )


def every_crawl_delay_is_kept(run: Run) -> Iterator[str]:
    """Once robots.txt was read, requests keep the delay that it asks for."""
    for server, log in zip(run.world.servers, run.arrivals, strict=True):
        delay_s = oracle.crawl_delay_s(run.world, server)
        read = [
            arrival for arrival in log if arrival.row is None and arrival.answer.status == 200 and not arrival.is_cut
        ]
        if not delay_s or not read:
            continue
        times_s = [arrival.at_s for arrival in log if arrival.at_s > read[0].ended_s + LEASE_S]
        for before_s, after_s in pairwise(times_s):
            if after_s - before_s < delay_s - _ROUNDING:
                yield f"{server.name} asks for {delay_s:g} s and was asked at {before_s:.2f} and {after_s:.2f} s"
                break


def every_order_is_obeyed(run: Run) -> Iterator[str]:
    """What the operator ordered holds from soon after until the next order, also across restarts."""
    orders = sorted((one for one in run.world.faults if isinstance(one, Ordered)), key=lambda one: one.at_s)
    for order in orders:
        later = [one.at_s for one in orders if one.server == order.server and one.at_s > order.at_s]
        end_s = min(later, default=float("inf"))
        log = [one for one in run.arrivals[order.server] if order.at_s + ORDER_S < one.at_s < end_s]
        name = run.world.servers[order.server].name
        if order.action in {"pause", "ban"} and log:
            yield f"{name} was asked at {log[0].at_s:.1f} s after `{order.action}` at {order.at_s:.1f} s"
        if order.action == "rate" and order.value:
            excess, at_s = widest_excess([one.at_s for one in log], order.value)
            if excess > 1 + _ROUNDING:
                yield f"{name} saw {excess:.2f} requests more than the ordered {order.value:g}/s until {at_s:.1f} s"


def nothing_is_asked_for_twice(run: Run) -> Iterator[str]:
    """What was answered as it should is not asked for again, but for what a kill took before it was written down.

    After a failure, a URL that was answered may be asked for again: that tells the server's fault from its last rows'.
    """
    answered: Counter[str] = Counter()
    for server, log in zip(run.world.servers, run.arrivals, strict=True):
        before: deque[Arrival] = deque(maxlen=MAX_CONNECTIONS)
        lost_s = _lost_s(run, server.name)
        for arrival in asked(log):
            since_s = before[0].at_s if before else 0.0
            has_failed = any(one.is_failure for one in before) or any(since_s <= at_s < arrival.at_s for at_s in lost_s)
            is_control = answered[arrival.url] > 0 and has_failed
            if not (arrival.is_failure or arrival.is_cut or is_control):
                answered[arrival.url] += 1
            before.append(arrival)
    again = {url: times - 1 for url, times in answered.items() if times > 1 and not _may_repeat(run, url)}
    kills = sum(isinstance(one, WorkerKilled | NodeLost | Requeued) for one in run.world.faults)
    allowed = (REQUESTS_PER_ROW - 1) * len(run.world.rows) + kills * _lost_rows(run)
    if sum(again.values()) > allowed:
        worst = max(again, key=lambda url: again[url])
        yield f"{sum(again.values())} answers were asked for again, {worst} {again[worst]} times"


def _lost_s(run: Run, server: str) -> list[float]:
    """When requests to a server were lost on their way: failures, too, of which it knows nothing."""
    lost = (event for event in run.events if event[1] == "lost" and f"//{server}/" in str(event[3]))
    return [cast("float", event[0]) for event in lost]


def _lost_rows(run: Run) -> float:
    """What a killed slice had not flushed, and what was under way."""
    return len(run.world.servers) * (3.0 * oracle.ceiling_rps(run.world) + MAX_CONNECTIONS)


def _may_repeat(run: Run, url: str) -> bool:
    """A URL that redirects to itself, or whose hops lie behind a failing one."""
    row = run.world.rows[int(url.rpartition("/")[2].partition(".")[0])]
    return type(row.fate).__name__ == "Loops"


def it_ends_in_time(run: Run) -> Iterator[str]:
    """It takes at most 1.3 times what a client needs that knows every limit, and patience where nobody comes back."""
    if oracle.is_cut_off(run.world):
        return
    bound_s = oracle.bound_s(run.world)
    allowed_s = BOUND_SHARE * bound_s + BOUND_S
    if oracle.has_lost_server(run.world):
        allowed_s += float(run.world.politeness.get("patience_s", PATIENCE_S)) + 60.0  # type: ignore[arg-type]
        allowed_s += FAILURES_IN_TURN * oracle.slowest_silence_s(run.world)
    if not run.never_ended and run.seconds > allowed_s:
        yield f"it took {run.seconds:.0f} s; {allowed_s:.0f} s are allowed for a bound of {bound_s:.0f} s"


INVARIANTS: tuple[Invariant, ...] = (
    terminates,
    nothing_crashes,
    every_row_is_settled_once,
    every_image_comes,
    no_rate_is_exceeded,
    no_more_connections_than_allowed,
    every_retry_after_is_kept,
    every_crawl_delay_is_kept,
    every_order_is_obeyed,
    nothing_is_asked_for_twice,
    it_ends_in_time,
)


def breaches(run: Run) -> dict[str, list[str]]:
    """What does not hold, by the name of the invariant."""
    found = {invariant.__name__: list(invariant(run)) for invariant in INVARIANTS}
    return {name: sentences for name, sentences in found.items() if sentences}


def widest_excess(times_s: list[float], rate_rps: float) -> tuple[float, float]:
    """Most requests above `rate_rps * w` in any window of w seconds, and when the worst one ends."""
    worst, worst_at_s, best_start = 0.0, 0.0, float("-inf")
    for number, at_s in enumerate(sorted(times_s)):
        best_start = max(best_start, rate_rps * at_s - number)
        excess = number + 1 - rate_rps * at_s + best_start
        if excess > worst:
            worst, worst_at_s = excess, at_s
    return worst, worst_at_s


def asked(log: list[Arrival]) -> list[Arrival]:
    """Requests for rows."""
    return [arrival for arrival in log if arrival.row is not None]
