"""What `RateLimit` headers allow: draft-ietf-httpapi-ratelimit-headers-11 (and its older forms), `X-RateLimit-*`.

A hint is a steady rate and how long it applies: what is left of a window, spread over the time until it is renewed, or
a published policy (`q` requests in `w` seconds). It only ever lowers the rate, and `Retry-After` takes precedence.
Headers have lower-case names, repeated ones as lines.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ray_downloader.politeness.headers.moments import A_DAY_S, seconds_until

_STRING = r'"(?:[^"\\]|\\.)*"'
#: A parameter of a structured field (RFC 8941); one without a value is true.
_ONE_PARAMETER = rf"\s*;\s*([a-z*][a-z0-9_.*-]*)(?:\s*=\s*({_STRING}|[^;,\"\s]+))?"
#: An item of a structured list with its parameters: `"default";q=100;w=60`, in older drafts `100;w=60`.
_MEMBER = re.compile(rf"(?:^|,)\s*(?:({_STRING})|([A-Za-z0-9_*.-]+))((?:{_ONE_PARAMETER})+)")
_PARAMETER = re.compile(_ONE_PARAMETER)
_OLD_PAIR = re.compile(r"\b(remaining|reset)\s*=\s*(\d+)", re.ASCII)
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_PREFIXES = ("ratelimit", "x-ratelimit", "x-rate-limit")
#: Limits per unit of time, as the gateway Kong sends them.
_UNITS_S = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": A_DAY_S, "month": 30 * A_DAY_S}


@dataclass(frozen=True, slots=True)
class RateLimitHint:
    """A rate that applies for `reset_s`, at most a day; a rate of 0 means: nothing until then."""

    rate_rps: float
    reset_s: float


def parse_ratelimit(headers: Mapping[str, str], now_unix_s: float) -> RateLimitHint | None:
    """The strictest limit in the headers, or None if they state none that can be parsed."""
    if not any(name.startswith(_PREFIXES) for name in headers):
        return None
    policies = _policies(headers.get("ratelimit-policy", ""))
    hints = [
        *(policy.hint() for _, policy in policies if policy.is_rate),
        *_current(headers.get("ratelimit", ""), dict(policies)),
        *_separate(headers, now_unix_s),
    ]
    return min((hint for hint in hints if hint is not None), key=lambda hint: hint.rate_rps, default=None)


@dataclass(frozen=True, slots=True)
class _Policy:
    """A published quota; only one of requests per window is a rate (others count bytes, or open requests)."""

    quota: float | None
    window_s: float | None
    unit: str

    @property
    def is_rate(self) -> bool:
        return self.unit == "requests"

    def hint(self) -> RateLimitHint | None:
        """The rate, however long the window is; but a request a day is always allowed."""
        if not self.quota or not self.window_s:
            return None
        return RateLimitHint(max(self.quota / self.window_s, 1 / A_DAY_S), min(self.window_s, A_DAY_S))


def _policies(value: str) -> list[tuple[str, _Policy]]:
    """`RateLimit-Policy` by name: `"burst";q=100;w=60;qu="requests"`, and `100;w=60` in older drafts.

    A name comes once per partition key; which of them is ours is not stated.
    """
    found = []
    for name, item, parameters in _members(value):
        fields = _parameters(parameters)
        policy = _Policy(_number(fields.get("q", item)), _number(fields.get("w", "")), fields.get("qu", "requests"))
        found.append((name or item, policy))
    return found


def _current(value: str, policies: Mapping[str, _Policy]) -> Iterator[RateLimitHint | None]:
    """`RateLimit: "default";r=50;t=30`, and `limit=100, remaining=50, reset=30` in drafts before 08.

    Without `t` what is left has to last for the policy's whole window.
    """
    for name, item, parameters in _members(value):
        policy = policies.get(name or item)
        fields = _parameters(parameters)
        if policy is None or policy.is_rate:
            window_s = _number(fields["t"]) if "t" in fields else policy.window_s if policy else None
            yield _hint(_number(fields.get("r", "")), window_s)
    pair = dict(_OLD_PAIR.findall(_one_line(value)))
    yield _hint(_number(pair.get("remaining", "")), _number(pair.get("reset", "")))


def _separate(headers: Mapping[str, str], now_unix_s: float) -> Iterator[RateLimitHint | None]:
    """`X-RateLimit-Remaining` with `-Reset`, which some servers count from their own clock, known from `Date`."""
    skew_s = seconds_until(headers.get("date", ""), now_unix_s) or 0.0
    for prefix in _PREFIXES:
        reset = headers.get(f"{prefix}-reset", "").partition("\n")[0]
        until_s = seconds_until(reset, now_unix_s + skew_s) or _number(headers.get(f"{prefix}-reset-after", ""))
        yield _hint(_number(headers.get(f"{prefix}-remaining", "")), until_s)
        yield from (policy.hint() for _, policy in _policies(headers.get(f"{prefix}-limit", "")))
        for unit, unit_s in _UNITS_S.items():
            yield _Policy(_number(headers.get(f"{prefix}-limit-{unit}", "")), unit_s, "requests").hint()


def _hint(requests: float | None, window_s: float | None) -> RateLimitHint | None:
    if requests is None or window_s is None or window_s <= 0:
        return None
    reset_s = min(window_s, A_DAY_S)
    return RateLimitHint(requests / reset_s, reset_s)


def _members(value: str) -> Iterator[tuple[str, str, str]]:
    """Name, or the item of an older draft, and parameters of each member of a list."""
    for member in _MEMBER.finditer(_one_line(value)):
        yield member[1] or "", member[2] or "", member[3]


def _parameters(text: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _PARAMETER.findall(text)}


def _number(text: str) -> float | None:
    found = _NUMBER.match(text.strip())
    number = float(found[0]) if found else math.inf
    return number if math.isfinite(number) else None


def _one_line(value: str) -> str:
    return value.replace("\n", ", ")
