"""What a task counts between two reports."""

from __future__ import annotations

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import FetchResult
from ray_downloader.worker.telemetry import Telemetry


def result(status: int | None, kind: ErrorKind | None = None, ttfb_s: float | None = None) -> FetchResult:
    return FetchResult(token=0, kind=kind, status=status, ttfb_s=ttfb_s)


def test_requests_are_counted_by_their_status_or_by_how_they_failed_without_one() -> None:
    telemetry = Telemetry()
    telemetry.answered("a.example", result(200, ttfb_s=0.25))
    telemetry.answered("a.example", result(200, ttfb_s=0.5))
    telemetry.answered("a.example", result(404, ErrorKind.HTTP_4XX))
    telemetry.answered("b.example", result(None, ErrorKind.CONNECT, ttfb_s=9.0))
    telemetry.answered("b.example", result(None))
    assert telemetry.statuses == {
        ("a.example", "200"): 2, ("a.example", "404"): 1, ("b.example", "connect"): 1, ("b.example", "none"): 1,
    }  # fmt: skip
    assert telemetry.ttfb_s == {"a.example": 0.75}, "only of answers that had one"


def test_smaller_versions_are_counted_by_the_server_of_the_listed_picture() -> None:
    telemetry = Telemetry()
    for size_bytes, listed_bytes in ((10, 50), (5, None)):
        telemetry.stored_rendition("a.example", size_bytes, listed_bytes)
    assert (telemetry.renditions, telemetry.rendition_bytes) == ({"a.example": 2}, {"a.example": 15})
    assert (telemetry.renditions_sized, telemetry.rendition_bytes_saved) == ({"a.example": 1}, {"a.example": 40})


def test_after_a_report_everything_begins_anew() -> None:
    telemetry = Telemetry(stored_bytes=5, decode_s=1.0)
    telemetry.answered("a.example", result(200, ttfb_s=0.25))
    telemetry.stored_rendition("a.example", 10, 20)
    telemetry.clear()
    assert telemetry == Telemetry()
