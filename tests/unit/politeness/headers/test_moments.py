from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.politeness.headers.moments import A_DAY_S, seconds_until

NOW_S = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("0", 0.0),
        ("30", 30.0),
        (" 1.5 ", 1.5),
        ('"30"', 30.0),
        ("999999999", 999_999_999.0),
        ("1000000000", 1e9 - NOW_S),
        ("1700000030", 30.0),
        ("1700000030.5", 30.5),
        ("1700000030000", 30.0),
        ("99999999999", 99_999_999_999 - NOW_S),
        ("100000000000", 1e8 - NOW_S),
        ("99999999999999", 99_999_999_999.999 - NOW_S),
        ("100000000000000", 1e8 - NOW_S),
        ("100000000000000000", 1e8 - NOW_S),
        ("1700000030000000", 30.0),
        ("1700000030000000000", 30.0),
        ("99999999999", 99_999_999_999 - NOW_S),
        ("100000000000", 1e8 - NOW_S),
        ("99999999999999", 99_999_999_999.999 - NOW_S),
        ("100000000000000", 1e8 - NOW_S),
        ("100000000000000000", 1e8 - NOW_S),
        ("30s", 30.0),
        ("1m30s", 90.0),
        ("2h", 7200.0),
        ("1h2m3.5s", 3723.5),
        ("1500ms", 1.5),
        ("2023-11-14T22:13:50Z", 30.0),
        ("2023-11-14t22:13:50z", 30.0),
        ("2023-11-14T22:13:50.123456789Z", 30.0),
        ("2023-11-14 22:13:50", 30.0),
        ("2023-11-14T22:14Z", 40.0),
        ("2023-11-15T00:13:50+02:00", 30.0),
        ("2023-11-14T17:13:50-0500", 30.0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 23:13:50 +0100", 30.0),
        ("Tuesday, 14-Nov-23 22:13:50 GMT", 30.0),
        ("Tue Nov 14 22:13:50 2023", 30.0),
        ("Tue, 14 Nov 2023 22:13:10 GMT", -10.0),
    ],
)
def test_a_moment_is_read_in_every_form(text: str, wait_s: float) -> None:
    assert seconds_until(text, NOW_S) == pytest.approx(wait_s, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "",
        '""',
        "s",
        "30 s",
        "5m3",
        "3s5m",
        "soon",
        "-5",
        "²",
        "٣",
        "1e5",
        "0x10",
        "1 2",
        "2023-13-45T99:99:99Z",
        "Wed, 99 Oct 2015",
        "inf",
        "nan",
    ],
)
def test_what_names_no_moment_is_none(text: str) -> None:
    assert seconds_until(text, NOW_S) is None


@given(st.text(max_size=40) | st.from_regex(r"\d{1,400}(\.\d+)?", fullmatch=True))
def test_no_text_breaks_the_reading(text: str) -> None:
    wait_s = seconds_until(text, NOW_S)
    assert wait_s is None or wait_s > -2 * NOW_S - 1e12


def test_a_day_has_its_seconds() -> None:
    assert A_DAY_S == 86_400.0
