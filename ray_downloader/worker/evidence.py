"""Whose fault a failed request is: the row's own or its server's. Pure.

Only a row's own faults use up its attempts.

1. Refusals because of the rate (429, 503) and failures to connect are evidence about the server: no attempt is used up.
   If that failure was an isolated one, with others served before the row's next try, it was the row's after all: the
   row is odd, and the attempt is charged then. Where many rows are refused, one is refused several times by chance, so
   it takes as many refusals in a row as chance does not bring. Nor is a row odd that followed other requests more
   closely than those that were served did (`spacing.py`): whatever is requested so soon may be refused. Of a group,
   only others of its host count, which may have a limit of its own. An odd row owes nothing for a refusal if another
   row was then refused for the first time, or if it states a much shorter wait than before: the end of a window.
2. Other failures (500, a time-out, a torn body, a reset of the only connection, and those of others before it with
   nothing answered in between) are the row's, until
   `SERVERS_FAULT_ROWS` distinct rows have failed with nothing served in between, or one of them could not even
   connect: then they are the server's, and the rows get their attempts back.
3. A failure of an odd row is its own, unless its server is in trouble anyway and the row is only its probe. Also that
   no connection could be made: of one host, `https:` may be dead and `http:` alive. Of a group, only rows of the same
   host show that. But a row that is refused for itself may be unreachable as all others are, and the reverse.
4. A 403 is held until others tell (`server_queue.py`): it is the row's if they are served, and the server's if it
   forbids everything.

The budget decides what happens to a server at fault (`politeness/server/`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.server.evidence import is_throttled
from ray_downloader.worker.request_policy import Failure
from ray_downloader.worker.row import OTHERS_SERVED_SINCE, Row, RowState
from ray_downloader.worker.spacing import Spacing

#: Distinct rows that must fail in a row to blame the server: as many as slow its budget down.
SERVERS_FAULT_ROWS = 10
#: So often one of several failed rows must have failed before its server served a URL that it had served before.
CONTROLS_FOR_ODD = 2
#: A row that is refused while others are served is odd once chance would refuse it so often, and once more, at most so
#: rarely, given the share of refusals among the other rows.
BY_CHANCE = 0.01
#: It ends with its error once chance would have refused it each time at most so rarely: so many good rows are lost
#: where refusals come at random. An odd row costs requests, but neither pauses nor rate, so this can be stricter.
LOST_BY_CHANCE = 1e-4
#: For that, a task that has seen few others assumes that one in twelve is refused: as if it had seen so many.
ASSUMED_ROWS, ASSUMED_REFUSED = 6.0, 0.5
#: ... and in any case after so many refusals.
MOST_REFUSALS = 8
#: A stated wait of at most this share of the row's last one is what is left of something.
SHORTENED = 0.5
#: Counts of answers are halved beyond this, so that what a server did long ago is forgotten.
REMEMBERED = 200
#: Failures that its budget counts as a server's trouble, too, where many rows in a row fail so. An answer that came,
#: empty or torn, is no such trouble: nobody would ever give the server up, nor its rows.
_TROUBLE = frozenset({ErrorKind.HTTP_5XX, ErrorKind.TIMEOUT, ErrorKind.TOO_SLOW, ErrorKind.RESET})
_UNREACHED = frozenset({ErrorKind.DNS, ErrorKind.CONNECT})
_BLAME_SERVER = _UNREACHED | {ErrorKind.HTTP_403_BAN, ErrorKind.RESET}


class Fault(Enum):
    """Who is to blame for a failure."""

    ROW = "row"
    SERVER = "server"


@dataclass(slots=True)
class _Suspect:
    row: Row
    has_spent: bool
    failed_at_s: float = 0.0
    is_reset: bool = False


def blames_server(failure: Failure) -> bool:
    """Whether a failure by itself indicates the server more than the row."""
    return is_throttled(failure.kind, failure.http_status, failure.retry_after_s) or failure.kind in _BLAME_SERVER


def is_own_fault(row: Row, failure: Failure | None) -> bool:
    """Whether a failure is the row's own, however the server is doing: it is odd, and fails as it did before."""
    is_new = failure is not None and row.odd_sort not in {"", _sort_of(failure)}
    return row.is_odd and not row.is_probe and not is_new


def _shortens_wait(row: Row, failure: Failure) -> bool:
    """Whether a refused row is to wait less than before: until a window ends, as a URL's own wait stays the same."""
    before_s = (row.failure.retry_after_s if row.failure else None) or 0.0
    wait_s = failure.retry_after_s or 0.0
    return 0 < wait_s <= SHORTENED * before_s and row.refusals < MOST_REFUSALS


def _sort_of(failure: Failure) -> str:
    """A row that is refused, broken or cannot be reached for itself may be one of the others with its server."""
    if is_throttled(failure.kind, failure.http_status, failure.retry_after_s):
        return "refused"
    return "unreached" if failure.kind in _UNREACHED else "failed"


def _is_about_host(row: Row) -> bool:
    """Whether only what its own host serves shows something about the row's failure.

    One host of a group may be unreachable, or have a limit of its own. A refusal is compared with all of them in the
    end, or the rows of a host that refuses everything would be requested for as long as the others serve.
    """
    is_unreached = row.failure is not None and row.failure.kind in _UNREACHED
    return is_unreached or 0 < row.refusals < MOST_REFUSALS


def _is_comparable(row: Row, host: str) -> bool:
    """Whether what a host serves shows something about the row's failure."""
    return row.host == host or not _is_about_host(row)


class FaultJudge:
    """What one task has seen of one server: when it last served a row, and which rows have failed since."""

    __slots__ = (
        "_breaks_any",
        "_host_served_sent_s",
        "_odd_refused",
        "_refused",
        "_served",
        "_served_sent_s",
        "_streak",
        "has_delivered",
        "spacing",
    )

    def __init__(self) -> None:
        #: When the newest of the served requests was sent.
        self._served_sent_s = float("-inf")
        #: ... and of those of each host of a group.
        self._host_served_sent_s: dict[str, float] = {}
        #: Whether a file has arrived, or a redirect to one; an answer that there is none does not count.
        self.has_delivered = False
        self._streak: dict[int, _Suspect] = {}
        #: Odd rows that were refused since their host last served anything.
        self._odd_refused: set[Row] = set()
        #: Whether a connection was reset that was the only one, and nothing was answered since.
        self._breaks_any = False
        self.spacing = Spacing()
        self._served = self._refused = 0

    def would_be_odd(self, row: Row) -> bool:
        """Whether others requested after its failure were served, so that another failure would be its own."""
        if row.failed_at_s is None:
            return False
        return row.failed_at_s == OTHERS_SERVED_SINCE or self._comparable_sent_s(row) > row.failed_at_s

    def _comparable_sent_s(self, row: Row) -> float:
        """When the newest request was sent that was served, and that could have failed as the row did."""
        return self._host_served_sent_s.get(row.host, float("-inf")) if _is_about_host(row) else self._served_sent_s

    def has_served_since(self, since_s: float) -> bool:
        """Whether a request that was sent after that was served."""
        return self._served_sent_s > since_s

    def review(self, row: Row) -> None:
        """Before a failed row is retried or returned: decide whether it is odd, and owes an attempt."""
        if not self.would_be_odd(row) or self._may_be_chance(row):
            return
        if not row.is_odd:
            row.is_odd, row.odd_sort = True, _sort_of(row.failure) if row.failure else ""
        if row.owes_attempt:
            row.owes_attempt = False
            row.attempt += 1

    def comparable_at_s(self, row: Row) -> float:
        """When a row that was refused can be compared with others: not sooner after other requests than those served.

        A refusal before that may be one that any row would have met. An odd row was compared before, so where this task
        has served none, the pace of its permits is enough: else the last rows, if all are odd, are retried one by one.
        """
        if row.failed_at_s is None or not 0 < row.refusals < MOST_REFUSALS:
            return float("-inf")
        if row.is_odd and not self.has_delivered:
            return float("-inf")
        return self.spacing.comparable_at_s(row.failed_at_s, row.served_spans_s)

    def _may_be_chance(self, row: Row) -> bool:
        """Whether its server refuses so many others that the row's refusals show nothing about it."""
        if not row.refusals or row.refusals >= MOST_REFUSALS:
            return False
        return bool(self._share ** (row.refusals + 1) > BY_CHANCE)

    def is_lost_by_chance(self, row: Row) -> bool:
        """Whether chance may be all that refused an odd row in each of its attempts, so that it deserves another."""
        return 0 < row.refusals < MOST_REFUSALS and self._assumed_share**row.refusals > LOST_BY_CHANCE

    @property
    def _others_refused(self) -> int:
        return max(0, self._refused - 1)

    @property
    def _share(self) -> float:
        """The share of refusals among the other rows."""
        return self._others_refused / (self._others_refused + self._served + 1)

    @property
    def _assumed_share(self) -> float:
        others = self._others_refused
        return (others + ASSUMED_REFUSED) / (others + self._served + ASSUMED_ROWS)

    def _count(self, *, served: int = 0, refused: int = 0) -> None:
        self._served += served
        self._refused += refused
        if self._served + self._refused > REMEMBERED:
            self._served, self._refused = self._served // 2, self._refused // 2

    def notice_served(self, sent_s: float, host: str, *, is_new: bool = True) -> None:
        """The server answered a row properly: with its file, or by stating that there is none.

        Args:
            sent_s: When the request was sent; the answer is no evidence about failures that came later.
            host: Which of a group's hosts answered.
            is_new: Whether the row had not been refused before.
        """
        self._breaks_any = False
        self._note_sent(sent_s, host)
        self._odd_refused = {row for row in self._odd_refused if not self.would_be_odd(row)}
        self.spacing.served(sent_s)
        self._count(served=is_new)
        are_many = len(self._streak) > 1
        for key, suspect in list(self._streak.items()):
            if suspect.failed_at_s < self._comparable_sent_s(suspect.row):
                del self._streak[key]
                is_forgiven = are_many and suspect.row.refusals < MOST_REFUSALS
                if is_forgiven and suspect.row.owes_attempt:  # the server was at fault, and has recovered
                    suspect.row.owes_attempt, suspect.row.failed_at_s = False, None

    def _note_sent(self, sent_s: float, host: str) -> None:
        self._served_sent_s = max(self._served_sent_s, sent_s)
        self._host_served_sent_s[host] = max(self._host_served_sent_s.get(host, sent_s), sent_s)

    def notice_control(self, rows: Iterable[Row], sent_s: float, host: str) -> None:
        """A URL that was served before was served again, while only failed rows were left.

        The server may just have recovered. A row that fails again after that while the server serves is odd.
        """
        self._breaks_any = False
        self._note_sent(sent_s, host)
        are_many = len(self._streak) > 1
        self._streak = {
            key: one
            for key, one in self._streak.items()
            if one.failed_at_s >= sent_s or not _is_comparable(one.row, host)
        }
        for row in rows:
            if (row.failed_at_s is None or row.failed_at_s < sent_s) and _is_comparable(row, host):
                row.controls += 1
                if row.controls >= CONTROLS_FOR_ODD:
                    row.failed_at_s = OTHERS_SERVED_SINCE
                elif are_many:
                    row.owes_attempt, row.failed_at_s = False, None

    def is_failing(self, row: Row) -> bool:
        """Whether its last failure may be its server's: nothing was served since, and no comparison has shown it.

        What it failed with as a probe, or together with others before their server recovered, is forgiven.
        """
        return not row.is_odd and self.is_uncompared(row)

    def is_uncompared(self, row: Row) -> bool:
        """The same for a row that is odd: its server may have been well then, and not any more."""
        failure = row.failure
        if failure is None or row.failed_at_s is None:
            return False
        may_be_servers = failure.kind in _TROUBLE or blames_server(failure)
        return may_be_servers and row.controls < CONTROLS_FOR_ODD and not self.would_be_odd(row)

    def blame_server(self, rows: Iterable[Row]) -> None:
        """The server is at fault, as is known now: what failed since it last served owes nothing, and is not odd."""
        self._refund()
        for suspect in self._streak.values():
            suspect.row.owes_attempt = False
        for row in rows:
            if self.is_uncompared(row):
                row.is_odd, row.odd_sort = False, ""

    def give_back(self, row: Row) -> None:
        """The task ends: an isolated failure stays suspect in the next task, a failure among others does not.

        Unless comparisons have shown often enough that its server is well. A refused row is yet to be compared.
        """
        if row.refusals and row.failed_at_s is not None and self.would_be_odd(row):
            row.served_spans_s = self.spacing.least_s(row.failed_at_s, row.served_spans_s)
            row.failed_at_s = OTHERS_SERVED_SINCE
            return
        self.review(row)
        is_known = row.controls >= CONTROLS_FOR_ODD
        if len(self._streak) > 1 and id(row) in self._streak and row.owes_attempt and not is_known:
            row.owes_attempt, row.failed_at_s = False, None

    def judge(self, row: Row, failure: Failure, now_s: float, others: int = 0) -> Fault:
        """Judge a failed request for the row whose failure may pass.

        Args:
            others: Requests to its server that are still under way: a reset may mean one connection too many.
        """
        is_refusal = is_throttled(failure.kind, failure.http_status, failure.retry_after_s)
        row.served_spans_s = ()
        row.told_until_s = now_s + (failure.retry_after_s or 0.0)
        if is_own_fault(row, failure):
            row.failed_at_s = now_s
            row.refusals += is_refusal
            if is_refusal:
                self._odd_refused.add(row)
            return Fault.SERVER if _shortens_wait(row, failure) else Fault.ROW
        if not row.is_probe:
            row.is_odd, row.odd_sort = False, ""
        row.refusals = row.refusals + 1 if is_refusal else 0
        self._count(refused=row.refusals == 1)
        if row.refusals == 1:
            self._forgive_odd(row.host)
        if row.is_probe:
            return Fault.SERVER
        self._note_break(failure, others)
        is_break = failure.kind is ErrorKind.RESET
        is_servers = blames_server(failure) and not (is_break and (self._breaks_any or others == 0))
        row.failed_at_s = now_s
        row.owes_attempt = is_servers
        suspect = self._streak.setdefault(id(row), _Suspect(row, has_spent=False))
        suspect.failed_at_s, suspect.is_reset = now_s, is_break
        are_many = len(self._streak) >= SERVERS_FAULT_ROWS and failure.kind in _TROUBLE
        if is_servers or are_many:
            if len(self._streak) > 1:
                self._refund()
            return Fault.SERVER
        suspect.has_spent = True
        return Fault.ROW

    def _forgive_odd(self, host: str) -> None:
        """A row was refused for the first time, right after odd ones: the server would have refused any."""
        forgiven = {row for row in self._odd_refused if row.host == host and row.refusals < MOST_REFUSALS}
        self._odd_refused -= forgiven
        for row in forgiven:
            if row.is_odd and row.state is RowState.DEFERRED:
                row.attempt, row.owes_attempt = max(1, row.attempt - 1), True
                row.is_odd, row.odd_sort, row.is_retry = False, "", False

    def _note_break(self, failure: Failure, others: int) -> None:
        """Process a reset of the only connection: those of the others before it were not because of their number."""
        if failure.http_status is not None:
            self._breaks_any = False
        elif failure.kind is ErrorKind.RESET and not others and not self._breaks_any:
            self._breaks_any = True
            for suspect in self._streak.values():
                if suspect.is_reset and suspect.row.owes_attempt:
                    suspect.has_spent, suspect.row.is_retry, suspect.row.owes_attempt = True, True, False
                    suspect.row.attempt += 1

    def _refund(self) -> None:
        for suspect in self._streak.values():
            if suspect.has_spent:
                suspect.has_spent = suspect.row.is_retry = False
                suspect.row.attempt = max(1, suspect.row.attempt - 1)
