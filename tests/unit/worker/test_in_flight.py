"""The books of a fetcher: whose request is whose, what it carries, and when it went out."""

from __future__ import annotations

from ray_downloader.fetch.base import FetchRequest
from ray_downloader.fetch.cookies import RedirectCookies
from ray_downloader.fetch.fake import FakeClock, FakeFetcher, Reply
from ray_downloader.partition.server_key import RequestUrl
from ray_downloader.politeness.messages import Lease
from ray_downloader.worker.in_flight import InFlightRequests, _with_cookies
from ray_downloader.worker.request_policy import Route
from ray_downloader.worker.robots_gate import RobotsRequest
from ray_downloader.worker.server_queue import ServerQueue
from tests.support.rows import rows_of

LEASE = Lease("a.example", 9, interval_s=1.0, valid_s=1e6, burst=1, connections=9)


def taking_as_long_as_its_number(request: FetchRequest) -> Reply:
    return Reply(body=b"12345", after_s=float(request.url[-5]))


def a_queue() -> ServerQueue:
    queue = ServerQueue("a.example", "task", 900.0, 3)
    queue._pacer.requested(0.0)
    queue.granted(LEASE, 0.0)
    return queue


def test_each_result_comes_with_its_row_and_queue() -> None:
    clock = FakeClock()
    requests = InFlightRequests(FakeFetcher(taking_as_long_as_its_number, clock))
    queues, rows = [a_queue(), a_queue(), a_queue()], rows_of(3)
    for queue, row in zip(queues, rows, strict=True):
        requests.start(queue, row, 0.0)
    assert (len(requests), requests.requests) == (3, 3)
    assert requests.rows() == rows
    for queue, row in zip(queues, rows, strict=True):
        (ended,) = requests.poll(10.0)
        assert (ended.queue, ended.work) == (queue, row)
    assert (len(requests), requests.size_bytes) == (0, 15)


def test_what_is_under_way_for_long_is_slow() -> None:
    requests = InFlightRequests(FakeFetcher(taking_as_long_as_its_number, FakeClock()))
    early, late = a_queue(), a_queue()
    requests.start(early, rows_of(1)[0], 1.0)
    requests.start(late, rows_of(1)[0], 5.0)
    assert requests.slow_queues(1.0) == set()
    assert requests.slow_queues(5.0) == {id(early)}


def test_a_request_carries_the_headers_of_its_route_and_the_cookies_of_its_row() -> None:
    fetcher = FakeFetcher(taking_as_long_as_its_number, FakeClock())
    requests = InFlightRequests(fetcher)
    row, plain = rows_of(2)
    target = RequestUrl.parse("http://a.example/3.jpg")
    row.route = Route(target, "a.example", verify_tls=False, headers={"Authorization": "secret"})
    row.cookies = RedirectCookies()
    row.cookies.add(target, {"set-cookie": "wall=passed"}, 0.0)
    requests.start(a_queue(), row, 0.0)
    requests.start(a_queue(), plain, 0.0)
    requests.start(a_queue(), RobotsRequest("a.example", row.route), 0.0)
    first, second, third = (request for _, request in fetcher.started)
    assert dict(first.headers) == {"Authorization": "secret", "Cookie": "wall=passed"}
    assert first.verify_tls is False
    assert dict(second.headers) == {}
    assert dict(third.headers) == {"Authorization": "secret"}
    assert requests.rows() == [row, plain], "a robots.txt is no row"


def test_the_distance_to_the_next_request_counts_from_when_it_went_out() -> None:
    clock = FakeClock()
    fetcher = FakeFetcher(taking_as_long_as_its_number, clock)
    requests, queue, rows = InFlightRequests(fetcher), a_queue(), rows_of(3)
    for row in rows:
        queue.add(row)
    assert queue.take_due(0.0) is rows[0]
    clock.now_s = 0.4  # a connection had to be made first
    requests.start(queue, rows[0], 0.0)
    requests.poll(0.0)
    assert queue.take_due(1.3) is None
    assert queue.take_due(1.4) is rows[1]


class UnsentFetcher(FakeFetcher):
    """Requests fail before they are sent."""

    def take_sent(self) -> list[tuple[int, float]]:
        return []


def test_a_request_that_failed_before_it_was_sent_holds_up_no_other() -> None:
    clock = FakeClock()
    requests, queue, rows = InFlightRequests(UnsentFetcher(lambda _: Reply(), clock)), a_queue(), rows_of(2)
    for row in rows:
        queue.add(row)
    work = queue.take_due(0.0)
    assert work is rows[0]
    requests.start(queue, work, 0.0)
    assert queue.take_due(1.01) is None, "it may still be connecting"
    requests.poll(0.0)
    assert queue.take_due(1.01) is rows[1]


def test_closing_drops_what_is_under_way() -> None:
    fetcher = FakeFetcher(taking_as_long_as_its_number, FakeClock())
    requests = InFlightRequests(fetcher)
    requests.close()
    assert fetcher.is_closed


def test_cookies_of_redirects_join_a_cookie_of_the_configuration() -> None:
    assert _with_cookies({"Authorization": "x"}, "a=1") == {"Authorization": "x", "Cookie": "a=1"}
    assert _with_cookies({"Cookie": "own=1"}, "a=1") == {"Cookie": "own=1; a=1"}
