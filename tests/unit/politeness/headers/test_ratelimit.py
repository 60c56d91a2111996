from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.politeness.headers.ratelimit import RateLimitHint, parse_ratelimit

NOW_S = 1_700_000_000.0


@pytest.mark.parametrize(
    ("headers", "hint"),
    [
        ({"ratelimit": '"default";r=50;t=25'}, RateLimitHint(2.0, 25.0)),
        ({"ratelimit": '"minute";r=50;t=25, "day";r=10;t=100'}, RateLimitHint(0.1, 100.0)),
        ({"ratelimit": "limit=100, remaining=50, reset=25"}, RateLimitHint(2.0, 25.0)),
        ({"ratelimit-remaining": "50", "ratelimit-reset": "25"}, RateLimitHint(2.0, 25.0)),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "5"}, RateLimitHint(0.0, 5.0)),
        ({"x-ratelimit-remaining": "20", "x-ratelimit-reset": "1700000010"}, RateLimitHint(2.0, 10.0)),
        ({"x-rate-limit-remaining": "20", "x-rate-limit-reset": "10"}, RateLimitHint(2.0, 10.0)),
        ({"x-ratelimit-remaining": "20", "x-ratelimit-reset": "1700000010000"}, RateLimitHint(2.0, 10.0)),
        ({"x-ratelimit-remaining": "20", "x-ratelimit-reset": "2023-11-14T22:13:30.000Z"}, RateLimitHint(2.0, 10.0)),
        (
            {"x-ratelimit-remaining": "20", "x-ratelimit-reset": "Tue, 14 Nov 2023 22:13:30 GMT"},
            RateLimitHint(2.0, 10.0),
        ),
        ({"x-ratelimit-remaining": "598.0", "x-ratelimit-reset": "299"}, RateLimitHint(2.0, 299.0)),
        ({"ratelimit": '"a";r=50;t=25\n"b";r=10;t=100'}, RateLimitHint(0.1, 100.0)),
        ({"ratelimit": '"a";r=0;t=7;pk=:c2VjcmV0:'}, RateLimitHint(0.0, 7.0)),
        ({"ratelimit": '"a";r=30', "ratelimit-policy": '"a";q=60;w=15'}, RateLimitHint(2.0, 15.0)),
        ({"ratelimit-policy": '"default";q=100;w=50'}, RateLimitHint(2.0, 50.0)),
        ({"ratelimit-policy": '"default";q=100;qu="requests";w=50'}, RateLimitHint(2.0, 50.0)),
        ({"ratelimit-policy": '"burst";q=10;w=1, "day";q=8640;w=86400'}, RateLimitHint(0.1, 86400.0)),
        ({"ratelimit-policy": "100;w=50"}, RateLimitHint(2.0, 50.0)),
        ({"ratelimit-policy": "10;w=1, 10;w=20"}, RateLimitHint(0.5, 20.0)),
        ({"ratelimit-policy": '"a";q=10;w=5', "ratelimit": '"a";r=10;t=1'}, RateLimitHint(2.0, 5.0)),
        ({"x-ratelimit-limit-minute": "30", "x-ratelimit-remaining-minute": "29"}, RateLimitHint(0.5, 60.0)),
        ({"x-ratelimit-limit-second": "5", "x-ratelimit-limit-hour": "3600"}, RateLimitHint(1.0, 3600.0)),
        ({"ratelimit-limit": "100, 100;w=50"}, RateLimitHint(2.0, 50.0)),
        ({"ratelimit-limit": "10, 10;w=1, 50;w=50"}, RateLimitHint(1.0, 50.0)),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset-after": "1.5"}, RateLimitHint(0.0, 1.5)),
        ({"x-ratelimit-remaining": "20", "x-ratelimit-reset": "10s"}, RateLimitHint(2.0, 10.0)),
        ({"x-ratelimit-remaining": "20", "x-ratelimit-reset": "1m40s"}, RateLimitHint(0.2, 100.0)),
        ({"x-ratelimit-limit-month": "2592000"}, RateLimitHint(1.0, 86400.0)),
        ({"ratelimit-policy": '"month";q=25920;w=2592000'}, RateLimitHint(0.01, 86400.0)),
        ({"ratelimit-policy": '"a";q=1;w=99999999999999'}, RateLimitHint(1 / 86400, 86400.0)),
    ],
)
def test_every_common_form_is_read(headers: dict[str, str], hint: RateLimitHint) -> None:
    assert parse_ratelimit(headers, NOW_S) == hint


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ratelimit": '"default";q=100;w=60'},
        {"ratelimit": "nonsense"},
        {"x-ratelimit-remaining": "many", "x-ratelimit-reset": "5"},
        {"x-ratelimit-remaining": "5"},
        {"x-ratelimit-remaining": "5", "x-ratelimit-reset": "0"},
        {"x-ratelimit-remaining": "5", "x-ratelimit-reset": "1600000000"},
        {"x-ratelimit-remaining": "-1", "x-ratelimit-reset": "5"},
        {"x-ratelimit-remaining": "5", "x-ratelimit-reset": "soon"},
        {"x-ratelimit-limit": "5"},
        {"x-ratelimit-limit-minute": "0"},
        {"ratelimit-policy": '"conc";q=4;qu="concurrent-requests"'},
        {"ratelimit-policy": '"conc";q=4;w=60;qu="concurrent-requests"'},
        {"ratelimit-policy": '"bytes";q=1000;w=60;qu="content-bytes"', "ratelimit": '"bytes";r=0;t=60'},
        {"ratelimit-policy": '"default";q=100'},
        {"ratelimit-policy": f'"default";q={"9" * 400};w=60'},
        {"x-ratelimit-remaining": "9" * 400, "x-ratelimit-reset": "60"},
        {"ratelimit-policy": '"default";q=0;w=60'},
        {"ratelimit-policy": '"default";q=100;w=0'},
        {"ratelimit": '"default";r=5'},
        {"ratelimit": '"default";r=0;t=0'},
        {"x-ratelimit-limit": "60", "x-ratelimit-reset-after": "5"},
    ],
)
def test_what_states_no_running_window_is_no_hint(headers: dict[str, str]) -> None:
    assert parse_ratelimit(headers, NOW_S) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1702592000"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999999999999999999999"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "9" * 400},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2099-01-01T00:00:00Z"},
        {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "31000000"},
        {"ratelimit": '"a";r=0;t=99999999'},
    ],
)
def test_nothing_that_one_answer_says_holds_for_longer_than_a_day(headers: dict[str, str]) -> None:
    assert parse_ratelimit(headers, NOW_S) == RateLimitHint(0.0, 86_400.0)


def test_what_is_left_of_a_month_is_at_least_that_many_a_day() -> None:
    headers = {"x-ratelimit-remaining": "1", "x-ratelimit-reset": "1702592000"}
    assert parse_ratelimit(headers, NOW_S) == RateLimitHint(1 / 86_400, 86_400.0)


def test_an_absolute_reset_is_read_by_the_clock_of_who_sent_it() -> None:
    date = "Tue, 14 Nov 2023 23:13:20 GMT"  # an hour ahead of ours
    headers = {"date": date, "x-ratelimit-remaining": "20", "x-ratelimit-reset": "1700003610"}
    assert parse_ratelimit(headers, NOW_S) == RateLimitHint(2.0, 10.0)
    relative = {"date": date, "x-ratelimit-remaining": "20", "x-ratelimit-reset": "10"}
    assert parse_ratelimit(relative, NOW_S) == RateLimitHint(2.0, 10.0)


@given(
    st.dictionaries(
        st.sampled_from(["ratelimit", "ratelimit-policy", "x-ratelimit-remaining", "x-ratelimit-reset", "date"]),
        st.text(alphabet='"abqrtwk;=,0123456789. \n-', max_size=40),
    )
)
def test_no_header_breaks_the_reading_or_says_more_than_a_day(headers: dict[str, str]) -> None:
    hint = parse_ratelimit(headers, NOW_S)
    assert hint is None or (0 < hint.reset_s <= 86_400 and hint.rate_rps >= 0)


@pytest.mark.parametrize(
    ("headers", "hint"),
    [
        ({"ratelimit": '"a";r=50;t=25', "x-ratelimit-remaining": "1", "x-ratelimit-reset": "10"}, (0.1, 10.0)),
        ({"ratelimit": '"a";r=1;t=10', "ratelimit-remaining": "50", "ratelimit-reset": "25"}, (0.1, 10.0)),
        ({"ratelimit": '"a";r="5";t="10"'}, (0.5, 10.0)),
        ({"ratelimit": '"a"; r = 5 ; t = 2.5'}, (2.0, 2.5)),
        ({"x-ratelimit-remaining": "5, 5;w=60", "x-ratelimit-reset": " 10"}, (0.5, 10.0)),
        ({"x-ratelimit-remaining": "7", "x-ratelimit-reset": "0.5"}, (14.0, 0.5)),
    ],
)
def test_the_strictest_of_all_counts_however_it_is_written(headers: dict[str, str], hint: tuple[float, float]) -> None:
    assert parse_ratelimit(headers, NOW_S) == RateLimitHint(*hint)


def test_the_first_unix_time_is_one_and_is_long_past() -> None:
    headers = {"x-ratelimit-remaining": "5", "x-ratelimit-reset": "1000000000"}
    assert parse_ratelimit(headers, NOW_S) is None
    assert parse_ratelimit(headers, 999_999_990.0) == RateLimitHint(0.5, 10.0)


@pytest.mark.parametrize(
    "parameters",
    [
        "q=100;w=50;pk=:cHsdsRa894==:",
        "x-tier=1;q=100;w=50",
        "q=100;*new.key=2;w=50",
        "q=100;is_soft;w=50",
        'comment="slow; please, thanks";q=100;w=50',
        'comment="a \\"quoted\\" word";q=100;w=50',
        ' q=100 ; qu="requests" ; w=50',
    ],
)
@pytest.mark.parametrize("name", ['"default"', '"a \\"name\\""', "token"], ids=["string", "escaped", "token"])
def test_parameters_that_we_do_not_know_hide_none_that_we_do(name: str, parameters: str) -> None:
    assert parse_ratelimit({"ratelimit-policy": f"{name};{parameters}"}, NOW_S) == RateLimitHint(2.0, 50.0)


def test_a_window_that_ends_now_is_not_taken_for_a_whole_one() -> None:
    headers = {"ratelimit-policy": '"a";q=20;w=10', "ratelimit": '"a";r=0;t=0'}
    assert parse_ratelimit(headers, NOW_S) == RateLimitHint(2.0, 10.0)


@pytest.mark.parametrize("quotas", [(10, 2), (2, 10)])
def test_each_partition_of_a_policy_counts(quotas: tuple[int, int]) -> None:
    policy = ", ".join(f'"a";q={quota};w=1;pk=:{key}:' for quota, key in zip(quotas, ("YQ==", "Yg=="), strict=True))
    assert parse_ratelimit({"ratelimit-policy": policy}, NOW_S) == RateLimitHint(2.0, 1.0)


def test_a_limit_that_names_its_policy_lasts_for_the_window_of_that_one() -> None:
    headers = {"ratelimit-policy": '"hour";q=1000;w=3600, "burst";q=10;w=1', "ratelimit": '"hour";r=36'}
    assert parse_ratelimit(headers, NOW_S) == RateLimitHint(0.01, 3600.0)
