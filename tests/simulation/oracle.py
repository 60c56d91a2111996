"""What a patient, polite client would get of a world: how each row may end, and how long it may take.

Read from the world itself, without running anything. Such a client asks each URL at most three times, keeps to every
limit, waits out what passes, and gives a server up only where it never comes back.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.answer import kind_of_status
from ray_downloader.politeness.retry import RETRY_ALLOWANCE, RETRY_SHARE
from ray_downloader.politeness.server.backoff import FIRST_PAUSE_S
from ray_downloader.politeness.server.own_faults import USED_TO_IT
from tests.simulation.world import (
    FOREVER,
    Bans,
    Bucket,
    Connections,
    Drained,
    Fails,
    Fate,
    Limit,
    Loops,
    Moved,
    NetworkLost,
    NotImage,
    OptsOut,
    Ordered,
    Requeued,
    Row,
    Says,
    Server,
    Slow,
    Trouble,
    Window,
    World,
)

IMAGE = ""
Ends = frozenset[str]
_IMAGE: Ends = frozenset({IMAGE})
#: What rows of a server end with that never answers, and of one that always refuses.
DEAD: Ends = frozenset({"server_dead", "dns", "connect"})
REFUSED: Ends = frozenset({"server_refused"})
#: Distinct URLs that have to fail in a row before their server is taken to be at fault; with some that failed before.
FEW_FAILING, FEW_FORBIDDEN = 14, 8
#: Files that must have come, about, before a 403 may be a ban.
HISTORY = 20
PATIENCE_S, NEVER_ANSWERED_S = 900.0, 120.0
#: Trouble that lasts for this share of patience may outlast it: patience begins before it and ends with a probe.
LONG_SHARE = 0.6
#: Where more than this share of a server's files fail on their first visits, all probes of a patience may meet such.
MOSTLY_FAILING = 0.75
#: How often, at most, one trouble or limit makes a server say a `Retry-After` that is in all of its answers.
RUNS_OF_REFUSALS = 4
#: Pauses of a minute for refusals of single URLs, where several have such.
DOUBTS = 2
#: So many servers must fail before it is us.
OUTAGE_SERVERS = 3
MAX_ATTEMPTS = 3
MAX_REDIRECTS = 5
RATE_MULTIPLIER = 0.5
MAX_CONNECTIONS = 4
#: Statuses with which a server says that it wants no more requests now.
_REFUSING = frozenset({420, 429, 503, 509})
#: Refusals that may pass, whatever the URL.
_PASSING = frozenset({429, 500, 502, 503, 504, 520, 509, 420, 202})


def ends_of(world: World, number: int) -> Ends:
    """How the row may end: error kinds, or `IMAGE`."""
    row = world.rows[number]
    ends = _ends_at(world, row.server, row.fate) | _ends_by_fellows(world, row.server)
    if row.mirror is not None and ends != _IMAGE:
        is_there = row.mirror[0] in world.fellows(row.server)
        others = _ends_at(world, *row.mirror) | (ends & REFUSED if is_there else frozenset())
        may_turn = ends - {IMAGE, "opted_out"}
        ends = (ends - may_turn) | others if may_turn else ends
    return ends


def _ends_at(world: World, server: int, fate: Fate) -> Ends:
    verdict = verdict_of(world, server)
    if verdict is not None and world.politeness.get("robots") == "obey":
        verdict = verdict | {"robots"}  # its robots.txt cannot be read, either
    ends = _ends_of_fate(world, server, fate) | _ends_in_passing_trouble(world, server, fate)
    if _is_banned(world, server):
        ends = ends | {"ignored_server"}
    if verdict is None:
        return ends
    starts_s = [trouble.start_s for trouble in world.servers[server].troubles if trouble.end_s == FOREVER]
    banned = ends & {"ignored_server"}
    return verdict | banned if min(starts_s, default=0.0) == 0 else ends | verdict


def _ends_by_fellows(world: World, server: int) -> Ends:
    """What rows of servers that share a budget may end with, where one of them refuses for long.

    They are one service, so the others' rows may be refused with it, and its own while others are served.
    """
    fellows = world.fellows(server)
    troubles = (trouble for number in fellows for trouble in world.servers[number].troubles)
    refusals = (one for one in troubles if one.how not in {ErrorKind.DNS, ErrorKind.CONNECT})
    long = [one for one in refusals if one.end_s - one.start_s >= LONG_SHARE * _patience_s(world, one)]
    if len(fellows) == 1 or not long:
        return frozenset()
    kinds = (_kinds_of_status(one.how) if isinstance(one.how, int) else {str(one.how)} for one in long)
    return REFUSED.union(DEAD, *kinds)


def _ends_in_passing_trouble(world: World, server: int, fate: Fate) -> Ends:
    """What a row may end with although the server comes back.

    1. What lasts as long as patience does, or longer, is not told from what lasts for ever.
    2. Of a few rows nobody can tell whether they or their server is at fault; and a server that begins with 403 was
       never seen to serve anybody.
    3. The attempts of a row that fails by itself may meet the trouble as well, and so may the only one of any row where
       others have spent the retries; so may all of them where a share of the requests fails at random.
    """
    ends: set[str] = set()
    distinct = sum(row.server == server for row in world.rows)
    is_failing = (isinstance(fate, Fails | Says) and bool(fate.times)) or _has_spent_its_retries(world, server)
    for trouble in (*world.servers[server].troubles, *_losses(world)):
        if trouble.share == 1 and trouble.end_s - trouble.start_s >= LONG_SHARE * _patience_s(world, trouble):
            ends |= _verdict_of(trouble)
            ends |= REFUSED if _has_failing_rows(world, server) else set()
            ends |= {"robots"} if world.politeness.get("robots") == "obey" else set()  # it cannot be read, either
        is_few = distinct < (FEW_FORBIDDEN if trouble.how == 403 else FEW_FAILING)
        may_be_url = trouble.how not in {429, 503, ErrorKind.DNS, ErrorKind.CONNECT}
        never_served = trouble.how == 403 and trouble.start_s * _rate_rps(world, world.servers[server]) < HISTORY
        if is_failing or trouble.share < 1 or (may_be_url and (is_few or never_served)):
            ends |= {str(trouble.how)} if isinstance(trouble.how, ErrorKind) else _kinds_of_status(trouble.how)
    if isinstance(fate, Fails) and fate.kind in {ErrorKind.DNS, ErrorKind.CONNECT} and fate.times:
        ends |= {str(fault.kind) for fault in world.faults if isinstance(fault, NetworkLost)}
    if _begins_badly(world, server):
        ends |= REFUSED
    if _outlasts_patience(world, server):
        ends |= REFUSED if _fails_twice(world, server) else set()
        ends |= _failing_kinds(fate) if isinstance(fate, Says) and fate.times > 1 else set()  # odd, for so long
    if _is_refused_for_ever(fate) or (
        isinstance(fate, Fails) and fate.times == FOREVER and _is_refusing(world, server)
    ):
        ends |= REFUSED  # the last rows of a server, with no other left to tell by
    if world.servers[server].limits and (ends or is_failing):
        ends |= _failing_kinds(fate) | {"http_429", "http_5xx", "reset", "connect"}
        if any(isinstance(limit, Bans) for limit in world.servers[server].limits):
            ends |= _kinds_of_status(403)
    elif is_failing and ends:
        ends |= _failing_kinds(fate)
    return frozenset(ends)


def _begins_badly(world: World, server: int) -> bool:
    """Whether hardly a file comes on its first visit, and some not on their second: a patience has few probes.

    Where each comes on its second one, a probe that goes to a row that was refused before finds out.
    """
    fates = [row.fate for row in world.rows if row.server == server]
    fates = [fate for fate in fates if not (isinstance(fate, Moved) and fate.to not in {None, server})]
    failing = [fate for fate in fates if isinstance(fate, Fails | Says) and fate.times]
    return len(failing) > MOSTLY_FAILING * len(fates) and any(fate.times > 1 for fate in failing)


def _outlasts_patience(world: World, server: int) -> bool:
    """Whether all its answers state a wait that does: a URL that fails again is taken at its word, as is its server."""
    header_s = max(
        (_asked_s(value) for name, value in world.servers[server].headers if name == "Retry-After"), default=0
    )
    return header_s > float(world.politeness.get("patience_s", PATIENCE_S))  # type: ignore[arg-type]


def _fails_twice(world: World, server: int) -> bool:
    return sum(isinstance(row.fate, Fails | Says) for row in world.rows if row.server == server) > 1


def _is_refused_for_ever(fate: Fate) -> bool:
    return isinstance(fate, Says) and fate.times == FOREVER and fate.status in _PASSING | {403}


def _is_refusing(world: World, server: int) -> bool:
    """Whether some of its URLs are refused for ever: left with others that fail for ever, they look like all of it."""
    return any(_is_refused_for_ever(row.fate) for row in world.rows if row.server == server)


def _is_banned(world: World, server: int) -> bool:
    return any(isinstance(one, Ordered) and one.action == "ban" and one.server == server for one in world.faults)


def _has_failing_rows(world: World, server: int) -> bool:
    """Whether rows fail by themselves: after long trouble of their server, its last probes may meet only those."""
    return any(isinstance(row.fate, Fails | Says) for row in world.rows if row.server == server)


def _losses(world: World) -> list[Trouble]:
    """Outages of our own network, where too few servers have rows left to tell them from theirs.

    A resolver that does not answer is ours, with any number of servers.
    """
    losses = [fault for fault in world.faults if isinstance(fault, NetworkLost) and fault.kind is ErrorKind.CONNECT]
    return [Trouble(loss.at_s, loss.end_s, loss.kind) for loss in losses if _servers_left(world, loss) < OUTAGE_SERVERS]


def _servers_left(world: World, loss: NetworkLost) -> int:
    """How many servers cannot have delivered everything before."""
    rows = Counter(row.server for row in world.rows)
    return sum(count / _rate_rps(world, world.servers[number]) > loss.at_s for number, count in rows.items())


def _patience_s(world: World, trouble: Trouble) -> float:
    """For a server that never answered it is two minutes at most."""
    patience_s = float(world.politeness.get("patience_s", PATIENCE_S))  # type: ignore[arg-type]
    has_answered = trouble.start_s > 0 or not isinstance(trouble.how, ErrorKind)
    return patience_s if has_answered else min(NEVER_ANSWERED_S, patience_s)


def verdict_of(world: World, server: int) -> Ends | None:
    """How the rows of a server end that does not come back; None for one that does."""
    lasting = [one for one in world.servers[server].troubles if one.end_s == FOREVER and one.share == 1]
    if lasting:
        return _verdict_of(lasting[0])
    fates = [row.fate for row in world.rows if row.server == server]
    fates += [row.mirror[1] for row in world.rows if row.mirror and row.mirror[0] == server and _may_fail(row.fate)]
    if fates and all(_never_serves(fate) for fate in fates):
        return frozenset(kind for fate in fates for kind in _failing_kinds(fate)) | REFUSED | DEAD
    return None


def _verdict_of(trouble: Trouble) -> Ends:
    if trouble.how in {ErrorKind.DNS, ErrorKind.CONNECT}:
        return DEAD
    if isinstance(trouble.how, ErrorKind):
        return DEAD | REFUSED | {str(trouble.how)}
    kind = kind_of_status(trouble.how, {})
    passing = {429, 503} if trouble.how in {429, 503} else set()
    return REFUSED if passing else REFUSED | ({str(kind), "http_403_ban"} if kind else set())


def _may_fail(fate: Fate) -> bool:
    """Whether a mirror of it may be asked."""
    return isinstance(fate, Fails | Says | Loops | NotImage)


def _never_serves(fate: Fate) -> bool:
    return isinstance(fate, Fails | Says) and fate.times == FOREVER and bool(_failing_kinds(fate))


def _failing_kinds(fate: Fate) -> Ends:
    if isinstance(fate, Fails):
        return frozenset({str(fate.kind)})
    if isinstance(fate, Says):
        return _kinds_of_status(fate.status)
    return frozenset()


def _kinds_of_status(status: int) -> Ends:
    if status == 402:
        return frozenset({"payment_required"})
    if status == 403:
        return frozenset({"http_4xx", "http_403_ban"})
    kind = kind_of_status(status, {})
    return frozenset({str(kind)}) if kind else frozenset({"not_image"})


def _ends_of_fate(world: World, server: int, fate: Fate) -> Ends:  # noqa: PLR0911 - one line for each kind
    if isinstance(fate, Loops):
        return frozenset({"redirect_loop"})
    if isinstance(fate, NotImage):
        return frozenset({"not_image"})
    if isinstance(fate, OptsOut):
        return frozenset({"opted_out"})
    if isinstance(fate, Moved):
        if fate.hops > MAX_REDIRECTS:
            return frozenset({"redirect_loop"})
        to = server if fate.to is None else fate.to
        verdict = verdict_of(world, to) if to != server else None
        banned = {"ignored_server"} if _is_banned(world, to) else set()
        there = _ends_in_passing_trouble(world, to, fate) if to != server else frozenset()
        return (_IMAGE if verdict is None else verdict | _IMAGE) | banned | there
    if isinstance(fate, Slow):
        timeout_s = float(world.network.get("request_timeout_s", 300.0))  # type: ignore[arg-type]
        return _IMAGE if fate.seconds <= timeout_s else frozenset({"timeout"})
    if isinstance(fate, Fails | Says):
        ends = _ends_of_failing(fate)
        return ends | _failing_kinds(fate) if ends == _IMAGE and _has_spent_its_retries(world, server) else ends
    return _IMAGE


def _has_spent_its_retries(world: World, server: int) -> bool:
    """Whether so many rows of a server fail by themselves that a tenth of its requests are not retries enough."""
    fates = [row.fate for row in world.rows if row.server == server]
    retries = sum(min(fate.times, MAX_ATTEMPTS - 1.0) for fate in fates if isinstance(fate, Fails | Says))
    return retries > RETRY_ALLOWANCE + RETRY_SHARE * len(fates)


def _ends_of_failing(fate: Fails | Says) -> Ends:
    kinds = _failing_kinds(fate)
    passes = isinstance(fate, Fails) or fate.status in _PASSING
    if fate.times == 0:
        return _IMAGE
    if not passes:
        return kinds if fate.status != 403 or fate.times == FOREVER else kinds | _IMAGE  # type: ignore[union-attr]
    if fate.times < MAX_ATTEMPTS:
        return _IMAGE
    return kinds if fate.times == FOREVER else kinds | _IMAGE


# -- how long ----------------------------------------------------------------------------------------------------------


def ceiling_rps(world: World) -> float:
    """What a server is asked for at most."""
    most = world.politeness.get("max_rate_limit")
    return float(most) if most else world.rate_rps * (1 + RATE_MULTIPLIER)  # type: ignore[arg-type]


def bound_s(world: World) -> float:
    """How long a polite client that knows every limit needs; servers are asked side by side."""
    loads: defaultdict[int, float] = defaultdict(float)
    for row in world.rows:
        for server, requests in _requests(row):
            loads[server] += requests
    budgets = (
        _busy_s(world, {number: loads[number] for number in members if loads[number]})
        for members in world.budgets().values()
    )
    return max(budgets, default=0.0) + _faults_s(world)


def _busy_s(world: World, loads: Mapping[int, float]) -> float:
    """How long a client needs for one server, or for those that share a budget."""
    if not loads:
        return 0.0
    rate_rps = min(_rate_rps(world, world.servers[number]) for number in loads)
    requests = sum(loads.values())
    return requests / rate_rps + sum(_waits_s(world, number) for number in loads)


def _requests(row: Row) -> list[tuple[int, float]]:
    fate = row.fate
    requests = [(row.server, 1.0)]
    if isinstance(fate, Moved):
        requests.append((row.server if fate.to is None else fate.to, float(fate.hops)))
    elif isinstance(fate, Loops):
        requests.append((row.server, float(MAX_REDIRECTS)))
    elif isinstance(fate, Fails | Says):
        requests.append((row.server, min(fate.times, MAX_ATTEMPTS - 1.0)))
    if row.mirror is not None:
        requests.append((row.mirror[0], 1.0))
    return requests


def _rate_rps(world: World, server: Server) -> float:
    rates = [ceiling_rps(world), *(_allowed_rps(server, limit) for limit in server.limits)]
    rates.append(int(world.politeness.get("max_connections", MAX_CONNECTIONS)) / server.latency_s)  # type: ignore[call-overload]
    orders = [one for one in world.faults if isinstance(one, Ordered) and world.servers[one.server] is server]
    rates += [order.value for order in orders if order.value]
    if delay_s := crawl_delay_s(world, server):
        rates.append(1 / delay_s)
    return min(rates)


def _allowed_rps(server: Server, limit: Limit) -> float:
    if isinstance(limit, Bucket):
        return limit.rate_rps
    if isinstance(limit, Connections):
        return limit.most / server.latency_s
    if isinstance(limit, Bans):
        return limit.requests / (limit.seconds + limit.ban_s)
    assert isinstance(limit, Window)
    return limit.requests / limit.seconds


def crawl_delay_s(world: World, server: Server) -> float | None:
    """What its robots.txt asks of us: under `ignore` only what it says to us by name counts."""
    is_ignored = world.politeness.get("robots") == "ignore" and "ray_downloader" not in server.robots.text
    if server.robots.status != 200 or is_ignored:
        return None
    for line in server.robots.text.splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "crawl-delay":
            return float(value)
    return None


def _waits_s(world: World, number: int) -> float:
    """Time in which the server gives nothing, with what it takes a doubling pause to notice its end."""
    server = world.servers[number]
    waits_s = 0.0
    for trouble in server.troubles:
        if trouble.share < 1:
            waits_s += trouble.share * _asked_s(trouble.retry_after) * sum(row.server == number for row in world.rows)
        elif trouble.end_s < FOREVER:
            waits_s += 2 * (trouble.end_s - trouble.start_s) + 60 + _asked_s(trouble.retry_after) + trouble.after_s
    for limit in server.limits:
        waits_s += _asked_s(getattr(limit, "retry_after", None)) + (limit.seconds if isinstance(limit, Window) else 0)
    header_s = max((_asked_s(value) for name, value in server.headers if name == "Retry-After"), default=0.0)
    waits_s += header_s * RUNS_OF_REFUSALS * len([*server.troubles, *server.limits])  # also on refusals
    refusing = [row.fate for row in world.rows if row.server == number and isinstance(row.fate, Says)]
    waits_s += header_s * sum(min(fate.times, MAX_ATTEMPTS) for fate in refusing if fate.status >= 500)
    waits_s += header_s * server.robots.fails
    slow_s = [row.fate.seconds for row in world.rows if row.server == number and isinstance(row.fate, Slow)]
    timeout_s = float(world.network.get("request_timeout_s", 300.0))  # type: ignore[arg-type]
    waits_s += sum(one if one <= timeout_s else MAX_ATTEMPTS * timeout_s for one in slow_s)
    for row in world.rows:
        if row.server == number and isinstance(row.fate, Fails | Says):
            waits_s += _failing_s(row.fate, timeout_s)
    return waits_s + _doubted_s(world, number)


def _doubted_s(world: World, number: int) -> float:
    """Time lost to refusals that are their URLs' own and do not say how long they last.

    Of two in a row nobody can tell whether the server has had enough: what it served before does not show it. So there
    is a minute's pause, and the request after it may meet another of them.
    """
    fates = [row.fate for row in world.rows if row.server == number and isinstance(row.fate, Says)]
    bare = sum(fate.status in _REFUSING and fate.times > 0 and not fate.retry_after for fate in fates)
    return FIRST_PAUSE_S * min(DOUBTS, max(0, bare - 1))


def _failing_s(fate: Fails | Says, timeout_s: float) -> float:
    times = min(fate.times, MAX_ATTEMPTS)
    if isinstance(fate, Fails):
        return times * min(fate.after_s, timeout_s)
    return times * _asked_s(fate.retry_after)


def _asked_s(retry_after: str | None) -> float:
    seconds = (retry_after or "").rpartition(":")[2]
    return min(float(seconds), 86_400.0) if seconds.isdigit() else 0.0


def _faults_s(world: World) -> float:
    total_s = 0.0
    for fault in world.faults:
        if isinstance(fault, NetworkLost):
            total_s += 2 * (fault.end_s - fault.at_s) + 60
        elif isinstance(fault, Drained | Requeued):
            total_s += fault.pause_s + world.task_seconds
        elif isinstance(fault, Ordered):
            total_s += fault.at_s if fault.action == "resume" else 0.0
        else:
            total_s += 15.0
    return total_s


def refuses_by_url(world: World, server: Server) -> bool:
    """Whether it refuses several URLs for themselves, so that a single refusal says little about it."""
    fates = [row.fate for row in world.rows if world.servers[row.server] is server]
    own = [fate for fate in fates if isinstance(fate, Says) and fate.status in _PASSING]
    return len(own) >= USED_TO_IT


def is_cut_off(world: World) -> bool:
    """Whether nobody can tell its servers' silence from a network of ours that lets nothing through."""
    servers = [world.servers[number] for number in {row.server for row in world.rows}]
    may_not_end = any(isinstance(fault, NetworkLost) for fault in world.faults)
    return all(any(_is_silence(trouble, may_not_end) for trouble in server.troubles) for server in servers)


def _is_silence(trouble: Trouble, may_not_end: bool) -> bool:
    """Time-outs are no sign that our network is lost; but once it was, only an answer shows that it is back."""
    silent = {ErrorKind.CONNECT, ErrorKind.TIMEOUT} if may_not_end else {ErrorKind.CONNECT}
    is_lasting = trouble.start_s == 0 and trouble.end_s == FOREVER and trouble.share == 1
    return is_lasting and trouble.how in silent and trouble.after_s >= 1.0


def slowest_silence_s(world: World) -> float:
    """How long a request takes at most that a server in lasting trouble does not answer."""
    lasting = (trouble for server in world.servers for trouble in server.troubles if trouble.end_s == FOREVER)
    return max((trouble.after_s for trouble in lasting), default=0.0)


def has_lost_server(world: World) -> bool:
    """Whether a server, or the last of its rows, never come back, so that patience has to be waited out."""
    refused = (row.fate for row in world.rows if isinstance(row.fate, Says))
    if any(fate.times == FOREVER and fate.status in _PASSING for fate in refused):
        return True
    servers = {row.server for row in world.rows}
    return any(verdict_of(world, number) is not None or _begins_badly(world, number) for number in sorted(servers))
