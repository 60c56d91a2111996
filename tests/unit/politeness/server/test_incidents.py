from __future__ import annotations

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.messages import Outcome
from ray_downloader.politeness.server.incidents import (
    FORBIDDEN_HISTORY,
    FORBIDDEN_RUN,
    MAX_FORBIDDEN_INCIDENTS,
    TROUBLE_RUN,
    IncidentDetector,
    is_throttled,
)

SUCCESS = Outcome(None, 200)
FORBIDDEN = Outcome(ErrorKind.HTTP_4XX, 403)
MISSING = Outcome(ErrorKind.HTTP_4XX, 404)
BROKEN = Outcome(ErrorKind.HTTP_5XX, 500)


def incidents(detector: IncidentDetector, *outcomes: Outcome) -> int:
    return sum(detector.sees_incident(outcome) for outcome in outcomes)


@pytest.mark.parametrize(
    ("kind", "status", "pushes_back"),
    [
        (ErrorKind.HTTP_429, 429, True),
        (ErrorKind.HTTP_5XX, 503, True),
        (ErrorKind.HTTP_5XX, 500, False),
        (ErrorKind.HTTP_4XX, 403, False),
        (None, 200, False),
    ],
)
def test_429_and_503_push_back_by_themselves(kind: ErrorKind | None, status: int, pushes_back: bool) -> None:
    assert is_throttled(kind, status) is pushes_back
    assert IncidentDetector().sees_incident(Outcome(kind, status)) is pushes_back


def test_a_run_of_403_after_a_history_of_files_is_an_incident() -> None:
    detector = IncidentDetector()
    assert incidents(detector, *[SUCCESS] * FORBIDDEN_HISTORY, *[FORBIDDEN] * FORBIDDEN_RUN) == 1
    assert detector.is_403_ban


def test_403_without_a_history_means_forbidden() -> None:
    assert incidents(IncidentDetector(), SUCCESS, *[FORBIDDEN] * 100) == 0


def test_a_403_now_and_then_means_forbidden() -> None:
    assert incidents(IncidentDetector(), *([SUCCESS] * 5 + [FORBIDDEN] * 2) * 50) == 0


def test_a_server_that_goes_on_with_403_after_pauses_means_forbidden() -> None:
    detector = IncidentDetector()
    assert incidents(detector, *[SUCCESS] * 20, *[FORBIDDEN] * 1000) == MAX_FORBIDDEN_INCIDENTS
    assert not detector.is_403_ban


def test_a_file_ends_the_suspicion_of_a_ban() -> None:
    detector = IncidentDetector()
    incidents(detector, *[SUCCESS] * 20, *[FORBIDDEN] * FORBIDDEN_RUN, SUCCESS)
    assert not detector.is_403_ban


def test_a_run_of_trouble_is_an_incident_and_a_single_500_is_not() -> None:
    timeout = Outcome(ErrorKind.TIMEOUT)
    assert incidents(IncidentDetector(), *[BROKEN, timeout] * (TROUBLE_RUN // 2)) == 1
    assert incidents(IncidentDetector(), *[BROKEN, BROKEN, SUCCESS] * 50) == 0
    assert incidents(IncidentDetector(), *[BROKEN, MISSING] * 50) == 0


def test_a_status_pushes_back_whatever_kind_it_was_given() -> None:
    assert is_throttled(ErrorKind.HTTP_429, None)
    assert is_throttled(None, 429)
    assert is_throttled(ErrorKind.TRUNCATED, 503)
    assert not is_throttled(ErrorKind.HTTP_5XX, 504)


@pytest.mark.parametrize(("files", "refusals", "is_ban"), [(10, 5, True), (9, 5, False), (10, 4, False)])
def test_five_403_after_ten_files_are_a_ban(files: int, refusals: int, is_ban: bool) -> None:
    detector = IncidentDetector()
    assert incidents(detector, *[SUCCESS] * files, *[FORBIDDEN] * refusals) == int(is_ban)
    assert detector.is_403_ban is is_ban


def test_each_further_run_is_an_incident_up_to_the_third() -> None:
    detector = IncidentDetector()
    incidents(detector, *[SUCCESS] * 10)
    found = [incidents(detector, *[FORBIDDEN] * 5) for _ in range(5)]
    assert found == [1, 1, 1, 0, 0]


def test_a_403_that_is_known_for_a_ban_counts_by_its_kind() -> None:
    detector = IncidentDetector()
    ban = Outcome(ErrorKind.HTTP_403_BAN)
    assert incidents(detector, *[SUCCESS] * 10, *[ban] * 5) == 1


def test_a_file_between_403_begins_a_new_run_and_other_failures_too() -> None:
    detector = IncidentDetector()
    for other in (SUCCESS, MISSING, Outcome(ErrorKind.RESET)):
        assert incidents(detector, *[SUCCESS] * 10, *[FORBIDDEN] * 4, other, *[FORBIDDEN] * 4) == 0


@pytest.mark.parametrize("kind", [ErrorKind.HTTP_5XX, ErrorKind.TIMEOUT, ErrorKind.TOO_SLOW, ErrorKind.RESET])
def test_ten_in_a_row_of_any_trouble_are_an_incident_and_ten_more_the_next(kind: ErrorKind) -> None:
    detector = IncidentDetector()
    trouble = Outcome(kind)
    seen = [detector.sees_incident(trouble) for _ in range(20)]
    assert [number for number, is_incident in enumerate(seen, 1) if is_incident] == [10, 20]


def test_a_403_is_no_end_of_trouble_and_a_file_is() -> None:
    assert incidents(IncidentDetector(), *[BROKEN] * 9, FORBIDDEN, BROKEN) == 1
    assert incidents(IncidentDetector(), *[BROKEN] * 9, SUCCESS, BROKEN) == 0
    assert incidents(IncidentDetector(), *[BROKEN] * 9, MISSING, BROKEN) == 0
