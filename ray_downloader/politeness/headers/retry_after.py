"""The `Retry-After` header (RFC 9110 section 10.2.3): seconds or an HTTP date, as a relative wait."""

from __future__ import annotations

from ray_downloader.politeness.headers.moments import A_DAY_S, seconds_until

#: One header cannot delay us for longer than this.
MAX_RETRY_AFTER_S = A_DAY_S


def parse_retry_after(value: str, now_unix_s: float) -> float | None:
    """Seconds to wait, at most a day; None if the value is malformed, zero or past.

    None means: treat the answer as one without the header, which waits longer than a "0" demands. Of several headers
    (lines of `value`) the longest wait is used.
    """
    waits_s = [_wait_s(line.strip(), now_unix_s) for line in value.split("\n")]
    return max((wait_s for wait_s in waits_s if wait_s is not None), default=None)


def _wait_s(text: str, now_unix_s: float) -> float | None:
    if "." in text:  # not a number of seconds according to the RFC
        return None
    wait_s = seconds_until(text, now_unix_s)
    return min(wait_s, MAX_RETRY_AFTER_S) if wait_s is not None and wait_s > 0 else None
