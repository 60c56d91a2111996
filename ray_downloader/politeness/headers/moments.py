"""Times in headers: seconds from now, durations, Unix times in several units, ISO 8601, and HTTP dates. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

#: No single answer can delay a server for longer (as `max.retry.after` of apache/stormcrawler, PR 1973).
A_DAY_S = 86_400.0

#: A number of at least this is a Unix time (GitHub's form), not seconds from now: the year 2001, or 31 years. Larger
#: ones count milliseconds, microseconds and nanoseconds.
_UNIX_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (1e9, 1.0))
_NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
#: As programs in Go write it, and other gateways: `60s`, `1m30s`, `250ms`.
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?", re.ASCII)
_DURATION_UNITS_S = (3600.0, 60.0, 1.0, 0.001)
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:[.,]\d+)?\s*(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)


def seconds_until(text: str, now_unix_s: float) -> float | None:
    """Seconds from now until the time in `text`, negative if it is past; None if it is not a time."""
    text = text.strip().strip('"')
    if _NUMBER.fullmatch(text):
        return _of_number(float(text), now_unix_s)
    if text and (duration := _DURATION.fullmatch(text)):
        return sum(float(part or 0) * unit_s for part, unit_s in zip(duration.groups(), _DURATION_UNITS_S, strict=True))
    moment = _iso(text) or _http_date(text)
    return None if moment is None else moment.timestamp() - now_unix_s


def _of_number(number: float, now_unix_s: float) -> float:
    for least, unit in _UNIX_UNITS:
        if number >= least:
            return number / unit - now_unix_s
    return number


def _iso(text: str) -> datetime | None:
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    day, time, zone = found.groups()
    zone = "+00:00" if zone in {None, "Z", "z"} else f"{zone[:3]}:{zone[-2:]}"
    try:
        return datetime.fromisoformat(f"{day}T{time}{zone}")
    except ValueError:
        return None


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
