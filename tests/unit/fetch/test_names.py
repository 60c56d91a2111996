from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from ray_downloader.fetch.base import DnsFailure
from ray_downloader.fetch.fake import FakeClock
from ray_downloader.fetch.names import (
    REMEMBERED_S,
    Address,
    FailedNames,
    NameInquiry,
    NameLookupError,
    failure_of,
    look_up,
    resolve_tcp,
)

ADDRESS: Address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))


def failing(error: Exception) -> Callable[[str, int], Sequence[Address]]:
    def resolve(host: str, port: int) -> Sequence[Address]:
        raise error

    return resolve


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), DnsFailure.NO_SUCH_NAME),
        (socket.gaierror(-5, "No address associated with hostname"), DnsFailure.NO_SUCH_NAME),
        (socket.gaierror(-9, "Address family for hostname not supported"), DnsFailure.NO_SUCH_NAME),
        (UnicodeError("label too long"), DnsFailure.NO_SUCH_NAME),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), DnsFailure.NO_ANSWER),
        (socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure"), DnsFailure.NO_ANSWER),
        (AssertionError("whatever"), DnsFailure.NO_ANSWER),
        (OSError(24, "Too many open files"), DnsFailure.NO_ANSWER),
    ],
)
def test_a_name_that_does_not_exist_is_told_from_a_resolver_that_does_not_answer(
    error: Exception, failure: DnsFailure
) -> None:
    assert failure_of(error) is failure
    with pytest.raises(NameLookupError, match=r"a\.example: ") as raised:
        look_up("a.example", 80, 1.0, failing(error))
    assert raised.value.failure is failure
    said = (error.strerror if isinstance(error, OSError) else None) or str(error)
    assert str(raised.value) == f"a.example: {said}"


def test_the_systems_resolver_is_asked_once_for_each_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, port: int, *, type: int) -> list[Address]:
        assert (host, port, type) == ("a.example", 80, socket.SOCK_STREAM)
        return [ADDRESS]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert resolve_tcp("a.example", 80) == look_up("a.example", 80, 1.0) == [ADDRESS]


def test_a_look_up_returns_what_the_resolver_says() -> None:
    assert look_up("a.example", 80, 1.0, lambda host, port: [ADDRESS]) == [ADDRESS]


def test_a_resolver_that_hangs_is_waited_for_no_longer_than_the_time_out() -> None:
    released = threading.Event()

    def hang(host: str, port: int) -> Sequence[Address]:
        released.wait(30)
        return []

    started_s = time.monotonic()
    with pytest.raises(NameLookupError, match=r"no answer from the resolver within 0\.05 s") as raised:
        look_up("a.example", 80, 0.05, hang)
    released.set()
    assert time.monotonic() - started_s < 5
    assert raised.value.failure is DnsFailure.NO_ANSWER


def answers_of(inquiry: NameInquiry) -> dict[str, DnsFailure]:
    found: dict[str, DnsFailure] = {}
    until_s = time.monotonic() + 60
    while inquiry and time.monotonic() < until_s:
        found |= dict(inquiry.take())
        time.sleep(0.001)
    return found


def test_an_inquiry_finds_out_why_names_have_no_address() -> None:
    calls: list[str] = []

    def resolve(host: str, port: int) -> Sequence[Address]:
        calls.append(host)
        if host == "there.example":
            return [ADDRESS]
        raise socket.gaierror(socket.EAI_NONAME if host == "gone.example" else socket.EAI_AGAIN, "")

    inquiry = NameInquiry(10.0, FakeClock(), resolve)
    assert not inquiry
    for host in ("gone.example", "silent.example", "there.example", "gone.example"):
        inquiry.start(host)
    assert answers_of(inquiry) == {
        "gone.example": DnsFailure.NO_SUCH_NAME,
        "silent.example": DnsFailure.NO_ANSWER,
        "there.example": DnsFailure.NO_ANSWER,
    }
    assert len(calls) == len(set(calls)) == 3


def test_an_inquiry_without_an_answer_ends_with_its_time_and_a_late_answer_is_dropped() -> None:
    released, clock = threading.Event(), FakeClock()

    def hang(host: str, port: int) -> Sequence[Address]:
        released.wait(30)
        raise socket.gaierror(socket.EAI_NONAME, "")

    inquiry = NameInquiry(10.0, clock, hang)
    inquiry.start("slow.example")
    clock.now_s = 9.9
    assert inquiry.take() == []
    clock.now_s = 10.0
    assert inquiry.take() == [("slow.example", DnsFailure.NO_ANSWER)]
    assert not inquiry
    released.set()
    time.sleep(0.05)
    assert inquiry.take() == []


def test_a_failure_is_remembered_for_ten_seconds_and_then_forgotten() -> None:
    assert REMEMBERED_S == 10.0
    names = FailedNames()
    names.add("gone.example", now_s=100.0)
    assert names.has("gone.example", now_s=109.9)
    assert not names.has("gone.example", now_s=110.0)
    assert not names.has("gone.example", now_s=105.0)
    assert not names.has("other.example", now_s=100.0)


def test_a_hundred_thousand_names_are_remembered_at_a_time() -> None:
    names = FailedNames()
    for number in range(100_001):
        names.add(f"{number}.example", now_s=0.0)
    assert [names.has(f"{number}.example", now_s=9.9) for number in (0, 1, 100_000)] == [False, True, True]


def test_the_oldest_names_are_forgotten_beyond_the_capacity() -> None:
    names = FailedNames(capacity=2)
    for host in ("a", "b", "a", "c"):
        names.add(host, now_s=0.0)
    assert [names.has(host, now_s=1.0) for host in ("a", "b", "c")] == [True, False, True]
