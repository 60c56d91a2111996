"""The vocabulary of a server's condition, and the lines of its log."""

from __future__ import annotations

from ray_downloader.politeness.server.events import Condition, Entry, Event
from ray_downloader.politeness.server.evidence import Evidence


def test_an_event_states_only_what_is_known() -> None:
    event = Event(Evidence.SERVED, 3.0, 2.0, 1.0)
    assert (event.url_hash, event.wait_s, event.free_s, event.jitter) == (0, None, 0.0, 0.0)
    assert (event.is_answer, event.said, event.is_control, event.http_status) == (False, "", False, None)


def test_a_line_of_the_log_says_when_what_and_what_then() -> None:
    event = Event(Evidence.REFUSED, 3.04, 2.0, 1.0, said="429 slow down")
    assert str(Entry(event, Condition.SUSPECT)) == "3.0 s: refused (429 slow down) -> suspect"


def test_the_states_have_the_names_that_are_in_servers_json() -> None:
    assert [condition.value for condition in Condition] == [
        "healthy", "suspect", "throttled", "waiting", "unreachable", "dead", "refused",
    ]  # fmt: skip
