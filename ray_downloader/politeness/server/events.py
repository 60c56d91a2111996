"""The vocabulary of `condition.py`: what happens to a server, its state afterwards, and what follows for its rate."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ray_downloader.politeness.server.evidence import Evidence


class Condition(str, Enum):
    """The states of a server; see the module's documentation for the transitions."""

    HEALTHY = "healthy"
    SUSPECT = "suspect"
    THROTTLED = "throttled"
    WAITING = "waiting"
    UNREACHABLE = "unreachable"
    DEAD = "dead"
    REFUSED = "refused"


class Consequence(Enum):
    """What an event means for the server's rate."""

    NONE = "none"
    #: A refusal: the rate at that moment was too high, as far as known.
    REFUSED = "refused"
    #: Another refusal after a pause of seconds: the pause is now long, and the limit has to be estimated with care.
    REFUSED_FOR_LONG = "refused for long"
    #: URLs fail one after the other: slow down, but learn nothing about a limit.
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Event:
    """One answer, with what the condition needs to know.

    Args:
        evidence: What it is evidence of.
        now_s: When it was reported.
        ended_s: When it arrived.
        sent_s: When its request was sent.
        url_hash: Identifies the URL; 0: unknown, and counted as a different one each time.
        wait_s: How long the server demands to be left alone, if it does.
        free_s: Until when permits granted before may be used.
        jitter: From 0 to 1, how much longer a pause of minutes becomes.
        is_answer: Whether the server answered; a time-out is not an answer.
        said: The server's words, if it refused.
        is_control: Whether the URL was served before, so that its failure is about the server.
        http_status: Of the answer, if there was one.
    """

    evidence: Evidence
    now_s: float
    ended_s: float
    sent_s: float
    url_hash: int = 0
    wait_s: float | None = None
    free_s: float = 0.0
    jitter: float = 0.0
    is_answer: bool = False
    said: str = ""
    is_control: bool = False
    http_status: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log: what happened, and the condition afterwards."""

    event: Event
    after: Condition

    def __str__(self) -> str:
        return f"{self.event.now_s:.1f} s: {self.event.evidence.value} ({self.event.said}) -> {self.after.value}"
