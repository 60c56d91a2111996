"""The `Retry-After` header (RFC 9110 section 10.2.3): seconds or an HTTP date, as a relative wait."""

from __future__ import annotations

from datetime import timezone
from email.utils import parsedate_to_datetime

#: As apache/stormcrawler's `max.retry.after` (pull request 1973): a server cannot park us longer by one header.
MAX_RETRY_AFTER_S = 86_400.0


def parse_retry_after(value: str, now_unix_s: float) -> float | None:
    """Seconds to wait, at most a day; None where the value is malformed, zero or past.

    None means: treat the answer as one without the header, which waits longer than a "0" asks for.
    """
    text = value.strip()
    wait_s = float(text) if text.isascii() and text.isdigit() else _until(text, now_unix_s)
    return min(wait_s, MAX_RETRY_AFTER_S) if wait_s is not None and wait_s > 0 else None


def _until(http_date: str, now_unix_s: float) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp() - now_unix_s
