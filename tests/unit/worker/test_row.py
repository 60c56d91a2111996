"""A row is in one named state; what it learned survives a trip through JSON, whatever clock the next task has."""

from __future__ import annotations

import json
from dataclasses import fields
from itertools import product
from typing import Any

import pyarrow as pa
import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.cookies import RedirectCookies
from ray_downloader.fetch.renditions import Rendition
from ray_downloader.output.journal import Rows
from ray_downloader.output.reused import HeldPicture
from ray_downloader.partition.server_key import RequestUrl
from ray_downloader.worker.request_policy import Failure, Route
from ray_downloader.worker.row import OTHERS_SERVED_SINCE, STALE_REDIRECT_S, Row, RowState
from ray_downloader.worker.spacing import SCALES
from tests.support.rows import a_row

REFUSED = Failure(ErrorKind.HTTP_429, "HTTP status 429", 429, retry_after_s=3.0)


def test_a_row_enters_only_the_states_that_its_own_allows() -> None:
    allowed = {(before, after) for before, after in product(RowState, RowState) if _enters(before, after)}
    q, robots, flight, hop, body, deferred, settled = RowState
    assert allowed == {
        (q, robots), (q, flight), (q, settled),
        (robots, q), (robots, hop), (robots, deferred), (robots, settled),
        (flight, hop), (flight, body), (flight, deferred), (flight, q), (flight, settled),
        (hop, robots), (hop, flight), (hop, q), (hop, settled),
        (body, deferred), (body, settled), (body, q),
        (deferred, robots), (deferred, flight), (deferred, q), (deferred, settled),
    }  # fmt: skip


def _enters(before: RowState, after: RowState) -> bool:
    row = a_row()
    row.state = before
    try:
        row.move(after)
    except RuntimeError:
        return False
    return True


def test_a_forbidden_step_names_the_row_and_its_history() -> None:
    row = a_row("http://a.example/1.jpg", number=7)
    row.move(RowState.IN_FLIGHT)
    row.move(RowState.BODY)
    with pytest.raises(RuntimeError, match=r"<Row 7 body attempt 1 .*'in_flight', 'body'.* cannot become redirected"):
        row.move(RowState.REDIRECTED)


def test_a_row_that_was_held_continues_from_where_it_was() -> None:
    row = a_row()
    row.hold()
    assert row.state is RowState.ROBOTS
    row.release()
    assert row.state is RowState.QUEUED
    row.move(RowState.IN_FLIGHT)
    row.move(RowState.DEFERRED)
    row.hold()
    row.release()
    assert row.state is RowState.DEFERRED


def test_a_row_as_it_was_in_the_list_has_nothing_to_remember() -> None:
    assert a_row().progress(0.0, 0.0) is None


def travelled(row: Row, now_s: float, passed_s: float) -> tuple[Row, str]:
    """The row as another task has it, whose monotonic clock is another one."""
    known: dict[str, Any] = json.loads(json.dumps(row.progress(now_s, 1_800_000_000.0)))
    other = a_row(row.identifier, mirrors=("http://unknown.example/",))
    return other, other.resume(known, 50_000.0, 1_800_000_000.0 + passed_s)


def test_a_redirect_that_was_taken_is_not_taken_again() -> None:
    row = a_row()
    row.move(RowState.IN_FLIGHT)
    row.hops, row.cookies = 1, RedirectCookies()
    row.cookies.add(RequestUrl.parse("http://a.example/1.jpg"), {"set-cookie": "seen=yes"}, 0.0)
    row.redirect(Route(RequestUrl.parse("http://b.example/2.jpg"), "b.example"), 10.0)
    other, url = travelled(row, now_s=15.0, passed_s=100.0)
    assert url == "http://b.example/2.jpg"
    assert (other.state, other.hops, other.attempt) == (RowState.REDIRECTED, 1, 1)
    assert other.redirected_at_s == 50_000.0 - 100.0 - 5.0
    assert other.cookies is not None
    assert other.cookies.header(RequestUrl.parse("http://a.example/2.jpg")) == "seen=yes"


@pytest.mark.parametrize(("odd_sort", "attempt"), [("refused", 2), ("failed", 4)])
def test_a_url_that_redirects_was_not_refused_for_itself_and_its_target_begins_anew(
    odd_sort: str, attempt: int
) -> None:
    row = a_row()
    row.move(RowState.IN_FLIGHT)
    row.attempt, row.refusals, row.is_odd, row.odd_sort, row.failed_at_s = 4, 2, True, odd_sort, 3.0
    row.served_spans_s = (1.0,)
    row.redirect(Route(RequestUrl.parse("http://b.example/2.jpg"), "b.example"), 10.0)
    known = (row.is_odd, row.odd_sort, row.refusals, row.failed_at_s, row.served_spans_s)
    assert known == (False, "", 0, None, ())
    assert row.attempt == attempt


def test_an_attempt_that_was_spent_and_a_wait_are_remembered() -> None:
    row = a_row(mirrors=("http://m.example/1.jpg",))
    row.move(RowState.IN_FLIGHT)
    row.attempt, row.is_odd = 2, True
    row.defer(REFUSED, not_before_s=40.0)
    other, url = travelled(row, now_s=10.0, passed_s=12.0)
    assert (url, other.state) == (row.identifier, RowState.DEFERRED)
    assert (other.attempt, other.is_odd, other.failure) == (2, True, REFUSED)
    assert other.not_before_s == 50_000.0 + 18.0
    assert other.mirrors == ["http://m.example/1.jpg"]


def test_a_wait_that_is_over_is_no_wait() -> None:
    row = a_row()
    row.move(RowState.IN_FLIGHT)
    row.defer(REFUSED, not_before_s=40.0)
    other, _ = travelled(row, now_s=10.0, passed_s=1000.0)
    assert other.not_before_s == 50_000.0


def values_of(row: Row) -> dict[str, object]:
    return {field.name: getattr(row, field.name) for field in fields(row)}


@pytest.mark.parametrize(
    "name",
    [
        "attempt", "url", "mirrors", "at", "hops", "cookies", "redirected_at_unix_s", "not_before_unix_s", "is_retry",
        "is_odd", "is_suspect", "owes_attempt", "has_started_over", "failure",
    ],
)  # fmt: skip
def test_a_row_whose_notes_are_damaged_is_as_it_was_in_the_list(name: str) -> None:
    row = a_row()
    row.move(RowState.IN_FLIGHT)
    row.attempt, row.hops, row.is_odd, row.is_retry, row.owes_attempt = 3, 2, True, True, True
    row.defer(REFUSED, not_before_s=40.0)
    known: dict[str, Any] = row.progress(0.0, 0.0) or {}
    del known[name]
    other = a_row(row.identifier)
    before = values_of(other)
    with pytest.raises(KeyError):
        other.resume(known, 0.0, 0.0)
    assert values_of(other) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("attempt", "x"), ("mirrors", 1), ("hops", None), ("cookies", [1]), ("cookies", [["a", "b"]]),
        ("not_before_unix_s", "x"), ("redirected_at_unix_s", None), ("failure", "x"), ("failure", {"kind": "none"}),
        ("failure", {"kind": "dns", "unknown": 1}),
    ],
)  # fmt: skip
def test_notes_with_odd_values_are_damaged(name: str, value: object) -> None:
    row = a_row()
    row.move(RowState.IN_FLIGHT)
    row.attempt = 2
    row.defer(REFUSED, not_before_s=40.0)
    other = a_row(row.identifier)
    before = values_of(other)
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        other.resume({**(row.progress(0.0, 0.0) or {}), name: value}, 0.0, 0.0)
    assert values_of(other) == before


def test_a_mirror_begins_anew_and_comes_once() -> None:
    row = a_row(mirrors=("http://m.example/1.jpg",))
    row.move(RowState.IN_FLIGHT)
    row.attempt, row.hops, row.is_odd, row.owes_attempt = 3, 2, True, True
    assert row.turn_to_mirror(REFUSED)
    assert (row.url, row.attempt, row.hops, row.failure) == ("http://m.example/1.jpg", 1, 0, None)
    assert (row.is_odd, row.owes_attempt, row.failed_at_s) == (False, False, None)
    assert row.state is RowState.QUEUED
    assert not row.turn_to_mirror(REFUSED)


def test_who_opted_out_is_not_asked_elsewhere() -> None:
    assert not a_row(mirrors=("http://m.example/1.jpg",)).turn_to_mirror(Failure(ErrorKind.OPTED_OUT, "noai"))


@pytest.mark.parametrize(
    ("hops", "age_s", "status", "expired"),
    [
        (1, STALE_REDIRECT_S + 1, 403, True),
        (1, STALE_REDIRECT_S + 1, 404, True),
        (1, STALE_REDIRECT_S, 403, False),
        (0, STALE_REDIRECT_S + 1, 403, False),
        (1, STALE_REDIRECT_S + 1, 500, False),
        (1, STALE_REDIRECT_S + 1, None, False),
    ],
)
def test_a_redirect_followed_too_late_starts_over_once(
    hops: int, age_s: float, status: int | None, expired: bool
) -> None:
    row = a_row()
    row.move(RowState.IN_FLIGHT)
    row.hops, row.redirected_at_s = hops, 5.0
    failure = Failure(ErrorKind.HTTP_4XX, "", status)
    assert row.has_expired_redirect(failure, 5.0 + age_s) is expired
    row.start_over()
    row.move(RowState.IN_FLIGHT)
    row.hops = 1
    assert not row.has_expired_redirect(failure, 5.0 + age_s)


def test_rows_taken_out_leave_the_others_behind() -> None:
    table = pa.table({"identifier": ["x"] * 3})
    row = a_row()
    row.rows, row.listed = Rows(table, [0, 1, 2], [10, 11, 12]), ["a", "b", "c"]  # type: ignore[list-item]
    taken = row.take_out([1])
    assert (taken.rows.numbers, taken.rows.places, taken.listed) == ([11], [1], ["b"])
    assert (row.rows.numbers, row.rows.places, row.listed) == ([10, 12], [0, 2], ["a", "c"])
    taken.mirrors.append("http://m.example/")
    assert row.mirrors == []


def test_a_wait_does_not_become_longer_as_the_clock_is_set_back() -> None:
    row, again = a_row(), a_row()
    row.move(RowState.IN_FLIGHT)
    row.defer(Failure(ErrorKind.HTTP_5XX, "", 500), 20.0)
    saved = row.progress(10.0, 1_000_000.0)
    assert saved is not None
    again.resume(saved, 500.0, 1_000_004.0)
    assert again.not_before_s == 506.0
    again.resume(saved, 500.0, 996_400.0)
    assert again.not_before_s == 510.0


def test_a_hop_after_a_retry_is_no_retry() -> None:
    """It was charged to the retries, of which a short list has few, and the row was given up between two hops."""
    row = a_row()
    row.move(RowState.IN_FLIGHT)
    row.defer(Failure(ErrorKind.HTTP_5XX, "", 500), 0.0)
    row.is_retry = True
    row.move(RowState.IN_FLIGHT)
    row.redirect(Route(RequestUrl.parse("http://a.example/2"), "a.example"), 1.0)
    assert (row.failure, row.is_retry) == (None, False)


def test_nothing_has_happened_to_a_row_that_is_new() -> None:
    row = a_row()
    flags = (row.is_retry, row.is_odd, row.is_probe, row.has_started_over, row.owes_attempt, row.has_asked_sizes)
    assert flags == (False,) * 6
    assert (row.attempt, row.hops, row.refusals, row.controls, row.odd_sort) == (1, 0, 0, 0, "")
    assert (row.failure, row.failed_at_s, row.not_before_s, row.redirected_at_s) == (None, None, 0.0, 0.0)
    assert (row.state, row.held_from, row.url, row.start_url) == (
        RowState.QUEUED, RowState.QUEUED, row.identifier, row.identifier,
    )  # fmt: skip


LISTED, SMALL, SIZES = "http://a.example/1.jpg", "http://a.example/small/1.jpg", "http://a.example/info.json"


def row_with_version(sizes_url: str = SIZES) -> Row:
    row = a_row(LISTED, mirrors=("http://m.example/1.jpg",))
    row.prefer(Rendition("small", SMALL, sizes_url))
    return row


def refused(status: int | None, kind: ErrorKind = ErrorKind.HTTP_4XX) -> Failure:
    return Failure(kind, "", status)


def test_a_smaller_version_comes_first_and_then_the_listed_picture_and_its_mirrors() -> None:
    row = row_with_version()
    assert (row.url, row.start_url, row.asks_for_version, row.asks_for_sizes) == (SMALL, SMALL, True, False)
    assert row.mirrors == [LISTED, "http://m.example/1.jpg"]
    assert not row.has_lost_version, "it was not requested yet"
    row.move(RowState.IN_FLIGHT)
    assert row.turn_to_mirror(refused(404))
    assert (row.url, row.asks_for_sizes, row.asks_for_version, row.has_asked_sizes) == (SIZES, True, False, True)
    assert row.has_lost_version
    row.move(RowState.IN_FLIGHT)
    assert row.turn_to_mirror(refused(404))
    assert (row.url, row.asks_for_sizes, row.asks_for_version) == (LISTED, False, False), "the sizes are asked for once"
    assert row.turn_to_mirror(refused(404)) and row.url == "http://m.example/1.jpg"
    assert not row.turn_to_mirror(refused(404))


@pytest.mark.parametrize(
    ("failure", "url"),
    [*((refused(status), SIZES) for status in (400, 403, 404, 405, 501)), (refused(500, ErrorKind.HTTP_5XX), LISTED),
     (refused(None, ErrorKind.TIMEOUT), LISTED), (refused(200, ErrorKind.NOT_IMAGE), LISTED)],
    ids=lambda given: str(given.http_status or given.kind) if isinstance(given, Failure) else "",
)  # fmt: skip
def test_which_sizes_there_are_is_asked_only_after_a_refusal_that_may_be_about_the_size(
    failure: Failure, url: str
) -> None:
    row = row_with_version()
    assert row.turn_to_mirror(failure)
    assert row.url == url
    without = row_with_version(sizes_url="")
    assert without.turn_to_mirror(failure)
    assert without.url == LISTED, "there is no such document"


def test_a_version_whose_sizes_must_be_asked_for_first_is_asked_for_once() -> None:
    row = a_row(LISTED)
    row.prefer(Rendition("unknown", SIZES, SIZES))
    assert row.has_asked_sizes and row.asks_for_sizes
    assert not row.turn_to_sizes()
    row.take_version(Rendition("small", SMALL, SIZES))
    assert (row.url, row.asks_for_version, row.mirrors) == (SMALL, True, [LISTED])
    row.turn_to_listed()
    assert (row.url, row.mirrors) == (LISTED, [])
    assert not a_row().turn_to_sizes()


def test_a_server_is_asked_whether_a_picture_has_changed_only_where_it_came_from() -> None:
    row = a_row(LISTED)
    assert row.validators == {}
    row.held = HeldPicture(0, 0, {"If-None-Match": '"x"'}, LISTED)
    assert row.validators == {"If-None-Match": '"x"'}
    row.route = Route(RequestUrl.parse("http://user:pw@a.example/1.jpg"), "a.example")
    assert row.validators == {"If-None-Match": '"x"'}, "a password is no part of where a picture came from"
    row.route = Route(RequestUrl.parse("http://b.example/1.jpg"), "b.example")
    assert row.validators == {}
    row.route = None
    assert row.validators == {}


#: What travels as it is, and a value that a new row does not have.
TRAVELS: dict[str, object] = {
    "attempt": 3, "url": "http://m.example/2.jpg", "rendition": Rendition("small", SMALL, SIZES),
    "has_asked_sizes": True, "mirrors": ["http://n.example/3.jpg"], "hops": 2, "is_retry": True, "is_odd": True,
    "odd_sort": "refused", "is_probe": True, "refusals": 4, "controls": 2, "owes_attempt": True,
    "has_started_over": True, "served_spans_s": (0.5, *(float("inf"),) * (len(SCALES) - 1)),
}  # fmt: skip


def test_whatever_was_learned_of_a_row_travels() -> None:
    row = a_row(LISTED)
    for name, value in TRAVELS.items():
        assert getattr(row, name) != value
        setattr(row, name, value)
    row.failed_at_s = 5.0
    other, _ = travelled(row, now_s=10.0, passed_s=0.0)
    assert {name: getattr(other, name) for name in TRAVELS} == TRAVELS
    assert other.failed_at_s == 50_000.0, "when that was is not comparable with what the next task sees"
    row.failed_at_s = OTHERS_SERVED_SINCE
    assert travelled(row, now_s=10.0, passed_s=0.0)[0].failed_at_s == OTHERS_SERVED_SINCE
    row.failed_at_s = None
    assert travelled(row, now_s=10.0, passed_s=0.0)[0].failed_at_s is None


@pytest.mark.parametrize(("passed_s", "left_s"), [(0.0, 30.0), (12.0, 18.0), (100.0, 0.0), (-3600.0, 30.0)])
def test_until_when_a_refusal_wants_quiet_travels_whatever_the_clock(passed_s: float, left_s: float) -> None:
    row = a_row(LISTED)
    row.failure, row.told_until_s = REFUSED, 40.0
    assert travelled(row, now_s=10.0, passed_s=passed_s)[0].told_until_s == 50_000.0 + left_s


def test_notes_of_an_earlier_version_say_less() -> None:
    row = a_row(LISTED)
    for name, value in TRAVELS.items():
        setattr(row, name, value)
    row.failed_at_s, row.not_before_s = 5.0, 40.0
    known = json.loads(json.dumps(row.progress(10.0, 1000.0)))
    later = (
        "rendition", "has_asked_sizes", "odd_sort", "is_probe", "refusals", "controls", "served_spans_s", "wait_s",
        "told_s",
    )  # fmt: skip
    for name in (*later, "others_served_since", "told_until_unix_s"):
        del known[name]
    other, new = a_row(LISTED), a_row(LISTED)
    other.resume(known, 50_000.0, 1000.0)
    names = [name for name in later if name not in {"wait_s", "told_s"}]
    assert {name: getattr(other, name) for name in names} == {name: getattr(new, name) for name in names}
    assert (other.failed_at_s, other.not_before_s) == (50_000.0, 50_030.0)


def test_spans_on_other_scales_are_left_out() -> None:
    row = a_row(LISTED)
    row.failure, row.served_spans_s = REFUSED, (0.5, 1.0)
    assert travelled(row, now_s=10.0, passed_s=0.0)[0].served_spans_s == ()


@pytest.mark.parametrize("name", ["attempt", "url", "has_asked_sizes", "failure", "hops"])
def test_each_thing_that_makes_a_row_other_than_in_the_list_is_a_reason_to_remember_it(name: str) -> None:
    row = a_row(LISTED)
    assert row.progress(0.0, 0.0) is None
    setattr(row, name, REFUSED if name == "failure" else TRAVELS[name])
    assert row.progress(0.0, 0.0) is not None
    version = row_with_version()
    assert version.progress(0.0, 0.0) is None, "that is how it begins"
