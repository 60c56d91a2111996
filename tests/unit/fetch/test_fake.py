from __future__ import annotations

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import Fetcher
from ray_downloader.fetch.fake import FakeClock, FakeFetcher, Reply
from tests.support.fetching import get


def test_answers_come_in_the_scripts_time_and_poll_moves_the_clock_to_them() -> None:
    clock = FakeClock()
    fetcher = FakeFetcher(lambda request: Reply(body=b"x", after_s=float(request.url.rpartition("/")[2])), clock)
    for token, delay in enumerate(["3", "1", "1"]):
        fetcher.start(get(token, f"http://a.example/{delay}"))
    assert [result.token for result in fetcher.poll(10.0)] == [1, 2]
    assert clock() == 1.0
    assert fetcher.poll(1.5) == []
    assert clock() == 2.5
    assert [result.token for result in fetcher.poll(10.0)] == [0]
    assert (clock(), fetcher.most_in_flight) == (3.0, 3)


def test_an_idle_poll_lets_the_time_pass() -> None:
    clock = FakeClock(5.0)
    fetcher: Fetcher = FakeFetcher(lambda _: Reply(), clock)
    assert fetcher.poll(2.0) == []
    assert clock() == 7.0


def test_a_scripted_failure_has_its_kind_and_a_message() -> None:
    fetcher = FakeFetcher(lambda _: Reply(ErrorKind.HTTP_5XX, status=503), FakeClock())
    fetcher.start(get(1, "http://a.example/"))
    (result,) = fetcher.poll(0.0)
    assert (result.kind, result.status, result.message) == (ErrorKind.HTTP_5XX, 503, "scripted http_5xx")
    assert [request.token for _, request in fetcher.started] == [1]


def test_close_forgets_what_is_under_way() -> None:
    fetcher = FakeFetcher(lambda _: Reply(), FakeClock())
    fetcher.start(get(1, "http://a.example/"))
    assert not fetcher.is_closed
    fetcher.close()
    assert fetcher.poll(1.0) == []
    assert fetcher.is_closed


def test_a_reply_is_a_picture_unless_the_script_says_otherwise() -> None:
    clock = FakeClock(3.0)
    fetcher = FakeFetcher(lambda _: Reply(after_s=1.5), clock)
    assert fetcher.most_in_flight == 0
    for token in (1, 2):
        fetcher.start(get(token, "http://a.example/"))
        (result,) = fetcher.poll(9.0)
        assert (result.kind, result.status, result.redirect_url, result.message) == (None, 200, None, "")
        assert (result.ttfb_s, result.total_s) == (1.5, 1.5)
    assert fetcher.most_in_flight == 1


def test_what_was_sent_is_told_once_with_its_time() -> None:
    clock = FakeClock(3.0)
    fetcher = FakeFetcher(lambda _: Reply(), clock)
    fetcher.start(get(7, "http://a.example/"))
    assert fetcher.take_sent() == [(7, 3.0)]
    assert fetcher.take_sent() == []
