"""What one answer is evidence of: its URL, its server, or nothing."""

from __future__ import annotations

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.messages import Outcome
from ray_downloader.politeness.server.evidence import (
    Evidence,
    evidence_of,
    is_throttled,
    stops_its_holder,
    wait_asked_for_s,
)


@pytest.mark.parametrize("status", [202, 403, 408, 413, 420, 425, 429, 500, 503, 599])
def test_a_wait_is_believed_from_an_answer_that_may_ask_for_one(status: int) -> None:
    assert wait_asked_for_s(ErrorKind.HTTP_4XX, status, 7.0) == 7.0
    assert is_throttled(ErrorKind.HTTP_4XX, status, 7.0)


@pytest.mark.parametrize(
    ("kind", "status", "wait_s"),
    [(ErrorKind.HTTP_4XX, 404, 7.0), (ErrorKind.HTTP_4XX, 499, 7.0), (None, 503, 7.0), (ErrorKind.HTTP_5XX, 503, None),
     (ErrorKind.HTTP_5XX, 503, 0.0), (ErrorKind.RESET, None, 7.0)],
)  # fmt: skip
def test_with_a_404_or_a_file_a_wait_is_about_nothing_else(
    kind: ErrorKind | None, status: int | None, wait_s: float | None
) -> None:
    assert wait_asked_for_s(kind, status, wait_s) is None


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        (ErrorKind.HTTP_429, None, True), (ErrorKind.HTTP_4XX, 420, True), (ErrorKind.HTTP_5XX, 503, True),
        (ErrorKind.HTTP_5XX, 509, True), (ErrorKind.HTTP_5XX, 529, True), (ErrorKind.HTTP_5XX, 500, False),
        (ErrorKind.HTTP_4XX, 403, False), (None, 503, False), (ErrorKind.RESET, None, False),
    ],
)  # fmt: skip
def test_some_statuses_ask_for_fewer_requests_by_themselves(
    kind: ErrorKind | None, status: int | None, expected: bool
) -> None:
    assert is_throttled(kind, status, None) is expected


@pytest.mark.parametrize(
    ("outcome", "stops"),
    [
        (Outcome(ErrorKind.HTTP_429, 429), True),
        (Outcome(ErrorKind.HTTP_429, 429, is_odd=True), False),
        (Outcome(ErrorKind.RESET, connections=2), True),
        (Outcome(ErrorKind.CONNECT, connections=2), True),
        (Outcome(ErrorKind.RESET, connections=1), False),
        (Outcome(ErrorKind.RESET, connections=2, is_odd=True), False),
        (Outcome(ErrorKind.TIMEOUT, connections=9), False),
        (Outcome(None, 200, connections=9), False),
    ],
)
def test_permits_in_hand_are_given_back_after_a_refusal_and_not_after_a_row_of_its_own(
    outcome: Outcome, stops: bool
) -> None:
    assert stops_its_holder(outcome) is stops


@pytest.mark.parametrize(
    ("outcome", "alone", "beside_others"),
    [
        (Outcome(None, 200), Evidence.SERVED, Evidence.SERVED),
        (Outcome(None, 302, is_row=False), Evidence.HOP, Evidence.HOP),
        (Outcome(ErrorKind.HTTP_429, 429), Evidence.REFUSED, Evidence.REFUSED),
        (Outcome(ErrorKind.HTTP_4XX, 403, retry_after_s=9.0), Evidence.REFUSED, Evidence.REFUSED),
        (Outcome(ErrorKind.HTTP_4XX, 403), Evidence.FORBIDDEN, Evidence.FORBIDDEN),
        (Outcome(ErrorKind.HTTP_403_BAN), Evidence.FORBIDDEN, Evidence.FORBIDDEN),
        (Outcome(ErrorKind.HTTP_4XX, 404), Evidence.ANSWERED, Evidence.ANSWERED),
        (Outcome(ErrorKind.NOT_IMAGE, 200), Evidence.ANSWERED, Evidence.ANSWERED),
        (Outcome(ErrorKind.DNS), Evidence.UNREACHED, Evidence.UNREACHED),
        (Outcome(ErrorKind.CONNECT), Evidence.UNREACHED, Evidence.CROWDED),
        (Outcome(ErrorKind.RESET), Evidence.FAILED, Evidence.CROWDED),
        (Outcome(ErrorKind.TIMEOUT), Evidence.FAILED, Evidence.FAILED),
        (Outcome(ErrorKind.TOO_SLOW), Evidence.FAILED, Evidence.FAILED),
        (Outcome(ErrorKind.HTTP_5XX, 500), Evidence.FAILED, Evidence.FAILED),
        (Outcome(ErrorKind.HTTP_429, 429, is_odd=True), Evidence.NOTHING, Evidence.NOTHING),
        (Outcome(ErrorKind.BAD_URL), Evidence.NOTHING, Evidence.NOTHING),
        (Outcome(ErrorKind.FORBIDDEN_ADDRESS), Evidence.NOTHING, Evidence.NOTHING),
        (Outcome(ErrorKind.INTERNAL), Evidence.NOTHING, Evidence.NOTHING),
    ],
)
def test_each_answer_says_one_thing(outcome: Outcome, alone: Evidence, beside_others: Evidence) -> None:
    assert evidence_of(outcome, are_others_open=False) is alone
    assert evidence_of(outcome, are_others_open=True) is beside_others
