"""What `RateLimit` headers allow: draft-ietf-httpapi-ratelimit-headers-11 (and its older forms), `X-RateLimit-*`.

The hint is the steady rate that lasts until the window resets. It is acted on only downwards, and `Retry-After`
wins over it. Headers come with lower-case names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: Resets beyond this are Unix times (GitHub's form), not seconds from now: the year 2001, or 31 years.
_FIRST_UNIX_TIME = 1_000_000_000
_MEMBER = re.compile(r"(?:^|,)\s*(\"[^\"]*\"|[A-Za-z0-9_*.-]+)((?:\s*;\s*[a-z]+\s*=\s*[^;,]+)+)")
_PARAMETER = re.compile(r";\s*([a-z]+)\s*=\s*\"?(\d+(?:\.\d+)?)")
_OLD_PREFIXES = ("ratelimit", "x-ratelimit", "x-rate-limit")


@dataclass(frozen=True, slots=True)
class RateLimitHint:
    """`rate_rps` is what is left, spread over the `reset_s` until it is renewed; 0 means: nothing until then."""

    rate_rps: float
    reset_s: float


def parse_ratelimit(headers: Mapping[str, str], now_unix_s: float) -> RateLimitHint | None:
    """The strictest limit that the headers state, or None where they state none that can be read."""
    hints = [*_structured(headers.get("ratelimit", "")), *_separate(headers, now_unix_s)]
    return min(hints, key=lambda hint: hint.rate_rps, default=None)


def _structured(value: str) -> Iterator[RateLimitHint]:
    """`RateLimit: "default";r=50;t=30`, and `limit=100, remaining=50, reset=30` of drafts before 08."""
    for _, parameters in _MEMBER.findall(value):
        yield from _hint(dict(_PARAMETER.findall(parameters)), "r", "t")
    yield from _hint(dict(re.findall(r"(remaining|reset)\s*=\s*(\d+)", value)), "remaining", "reset")


def _separate(headers: Mapping[str, str], now_unix_s: float) -> Iterator[RateLimitHint]:
    for prefix in _OLD_PREFIXES:
        pair = {name: _number(headers.get(f"{prefix}-{name}", "")) for name in ("remaining", "reset")}
        reset = pair["reset"]
        if reset and float(reset) >= _FIRST_UNIX_TIME:
            pair["reset"] = str(max(0.0, float(reset) - now_unix_s))
        yield from _hint({name: text for name, text in pair.items() if text}, "remaining", "reset")


def _hint(fields: Mapping[str, str], remaining: str, reset: str) -> Iterator[RateLimitHint]:
    if remaining in fields and reset in fields and float(fields[reset]) > 0:
        reset_s = float(fields[reset])
        yield RateLimitHint(float(fields[remaining]) / reset_s, reset_s)


def _number(text: str) -> str:
    found = re.match(r"\s*(\d+(?:\.\d+)?)", text)
    return found[1] if found else ""
