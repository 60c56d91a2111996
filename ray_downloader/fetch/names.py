"""Host names: look-ups that do not wait forever, and what is known about names that have no address.

The system's resolver cannot be interrupted, so each look-up has a thread of its own that may be left behind.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from ray_downloader.fetch.base import DnsFailure

#: The answers of `getaddrinfo`: family, kind, protocol, canonical name, socket address.
Address = tuple[int, int, int, str, tuple[Any, ...]]
Resolve = Callable[[str, int], Sequence[Address]]

#: A dead name is looked up again this soon, so that three attempts over 30 s are three look-ups (RFC 9520 section 3.2
#: allows 1 s to 5 minutes). Lists have thousands of URLs of hosts that are long gone, which share one look-up.
REMEMBERED_S = 10.0
#: Codes of `getaddrinfo` for a name that does not exist or has no address. glibc also has EAI_ADDRFAMILY (-9).
_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", -5), getattr(socket, "EAI_ADDRFAMILY", -9)}


class NameLookupError(Exception):
    """A name has no address; `failure` says whether that is certain."""

    def __init__(self, failure: DnsFailure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


def resolve_tcp(host: str, port: int) -> Sequence[Address]:
    """Addresses of a host, according to the system's resolver."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def look_up(host: str, port: int, timeout_s: float, resolve: Resolve = resolve_tcp) -> Sequence[Address]:
    """Addresses of a host.

    Raises:
        NameLookupError: It has none, or no resolver answered within `timeout_s`.
    """
    answers: queue.SimpleQueue[Sequence[Address] | NameLookupError] = queue.SimpleQueue()
    _start_look_up(host, port, resolve, answers.put)
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise _no_answer(host, timeout_s) from None
    if isinstance(answer, NameLookupError):
        raise answer
    return answer


def failure_of(error: Exception) -> DnsFailure:
    """What an error of the resolver says about the name; a name that cannot be spelled does not exist."""
    is_known = isinstance(error, UnicodeError) or (isinstance(error, OSError) and error.errno in _NO_SUCH_NAME)
    return DnsFailure.NO_SUCH_NAME if is_known else DnsFailure.NO_ANSWER


class NameInquiry:
    """Finds out why names have no address, for a library that only reports that they have none.

    Args:
        timeout_s: A resolver that has not answered by then counts as silent.
        clock: Monotonic time.
        resolve: Looks names up; may block.
    """

    def __init__(self, timeout_s: float, clock: Callable[[], float], resolve: Resolve) -> None:
        self._timeout_s = timeout_s
        self._clock = clock
        self._resolve = resolve
        self._until_s: dict[str, float] = {}
        self._answers: queue.SimpleQueue[tuple[str, DnsFailure]] = queue.SimpleQueue()

    def __bool__(self) -> bool:
        return bool(self._until_s)

    def start(self, host: str) -> None:
        """Look `host` up once more, unless that is already happening."""
        if host not in self._until_s:
            self._until_s[host] = self._clock() + self._timeout_s
            _start_look_up(host, 0, self._resolve, lambda answer: self._answers.put((host, _failure_in(answer))))

    def take(self) -> list[tuple[str, DnsFailure]]:
        """Findings since the last call; each question has one answer."""
        found: dict[str, DnsFailure] = {}
        while not self._answers.empty():
            host, failure = self._answers.get()
            if self._until_s.pop(host, None) is not None:
                found[host] = failure
        now_s = self._clock()
        for host in [host for host, until_s in self._until_s.items() if until_s <= now_s]:
            del self._until_s[host]
            found[host] = DnsFailure.NO_ANSWER
        return list(found.items())


class FailedNames:
    """Remembers for a few seconds which names do not exist. Pure.

    Args:
        capacity: The oldest names are forgotten beyond this many.
    """

    def __init__(self, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._until_s: OrderedDict[str, float] = OrderedDict()

    def add(self, host: str, now_s: float) -> None:
        """Record a resolver's answer that `host` does not exist."""
        self._until_s[host] = now_s + REMEMBERED_S
        self._until_s.move_to_end(host)
        if len(self._until_s) > self._capacity:
            self._until_s.popitem(last=False)

    def has(self, host: str, now_s: float) -> bool:
        """Whether that was reported so recently that another look-up would be rude."""
        until_s = self._until_s.get(host)
        if until_s is None:
            return False
        if now_s < until_s:
            return True
        del self._until_s[host]
        return False


def _start_look_up(
    host: str, port: int, resolve: Resolve, answer: Callable[[Sequence[Address] | NameLookupError], None]
) -> None:
    def run() -> None:
        try:
            addresses = resolve(host, port)
        except Exception as error:
            answer(NameLookupError(failure_of(error), f"{host}: {_reason(error)}"))
        else:
            answer(addresses)

    threading.Thread(target=run, name=f"look up {host}", daemon=True).start()


def _failure_in(answer: Sequence[Address] | NameLookupError) -> DnsFailure:
    """A name that has addresses after all did not fail for lack of them: the first look-up was lost."""
    return answer.failure if isinstance(answer, NameLookupError) else DnsFailure.NO_ANSWER


def _no_answer(host: str, timeout_s: float) -> NameLookupError:
    return NameLookupError(DnsFailure.NO_ANSWER, f"{host}: no answer from the resolver within {timeout_s:g} s")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
