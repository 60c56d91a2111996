from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from ray_downloader.politeness.headers.retry_after import MAX_RETRY_AFTER_S, parse_retry_after

#: Wed, 21 Oct 2015 07:28:00 GMT
MOMENT_S = 1_445_412_480.0


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("1", 1.0),
        (" 120 ", 120.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 10.0),
        ("Wednesday, 21-Oct-15 07:28:00 GMT", 10.0),
        ("Wed Oct 21 07:28:00 2015", 10.0),
        ("99999999999999999999", MAX_RETRY_AFTER_S),
        ("Wed, 21 Oct 2115 07:28:00 GMT", MAX_RETRY_AFTER_S),
        ("1445412480", 10.0),
        ("2015-10-21T07:28:00Z", 10.0),
        ("5\n120\nsoon", 120.0),
        ("86401", 86_400.0),
    ],
)
def test_seconds_and_dates_become_a_wait_of_at_most_a_day(value: str, wait_s: float) -> None:
    assert parse_retry_after(value, MOMENT_S - 10) == wait_s


@pytest.mark.parametrize(
    "value", ["", "0", "-5", "1.5", "soon", "²", "Wed, 99 Oct 2015", "Wed, 21 Oct 2015 07:27:00 GMT"]
)
def test_what_is_malformed_zero_or_past_counts_as_no_header(value: str) -> None:
    assert parse_retry_after(value, MOMENT_S) is None


@pytest.fixture(params=["Asia/Kathmandu", "America/St_Johns"])
def elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine in another time zone than UTC."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    "value",
    [
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Wed, 21 Oct 2015 09:28:00 +0200",
        "Wednesday, 21-Oct-15 07:28:00 GMT",
        "Wed Oct 21 07:28:00 2015",
        "Wed, 21 Oct 2015 07:28:00 -0000",
    ],
)
def test_a_date_means_the_same_in_every_time_zone(value: str) -> None:
    assert parse_retry_after(value, MOMENT_S - 10) == 10.0


def test_a_wait_is_a_day_at_most_and_more_than_nothing() -> None:
    assert parse_retry_after("86400", 0.0) == 86_400.0
    assert parse_retry_after("86401", 0.0) == 86_400.0
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT", MOMENT_S) is None, "this very moment"
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:01 GMT", MOMENT_S) == 1.0


@pytest.mark.parametrize("value", ["Wed, 21 Oct 99999 07:28:00 GMT", "Wed, 21 Oct 2015 25:28:00 GMT", "21", "Oct"])
def test_no_date_is_too_odd_to_be_read(value: str) -> None:
    assert parse_retry_after(value, MOMENT_S) in (None, 21.0)
