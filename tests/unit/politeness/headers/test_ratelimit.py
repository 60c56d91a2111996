from __future__ import annotations

import pytest

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
    ],
)
def test_what_states_no_running_window_is_no_hint(headers: dict[str, str]) -> None:
    assert parse_ratelimit(headers, NOW_S) is None
