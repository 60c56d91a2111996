"""Single turns of a worker: when the next one can do something, how much is in flight, and when work can continue."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import FetchRequest
from ray_downloader.fetch.fake import Reply
from ray_downloader.worker.loop import IDLE_POLL_S, MAX_IN_FLIGHT, PROGRESS_INTERVAL_S
from tests.unit.worker.worker_run import POLITE, Run, found

pytestmark = pytest.mark.stage
GONE = Reply(ErrorKind.HTTP_4XX, 404, after_s=0.01)


def urls(count: int, server: str = "a.example") -> list[str]:
    return [f"http://{server}/{number:04d}.jpg" for number in range(count)]


def test_a_worker_with_rows_to_assign_has_a_turn_now_and_one_without_work_too(tmp_path: Path) -> None:
    run = Run(tmp_path, urls(3), lambda _: GONE)
    worker = run.worker()
    assert worker.next_turn_s() == run.clock.now_s
    while not worker.is_over():
        worker.turn()
    assert worker.next_turn_s() == run.clock.now_s, "nothing is left: it can finish"
    assert run.kinds() == {}
    report = worker.finish()
    assert run.kinds() == {"http_4xx": 3}
    assert report.requests == 3


def test_a_worker_that_waits_for_a_permit_has_its_next_turn_then_or_when_it_reports(tmp_path: Path) -> None:
    slow = {"politeness": {**POLITE, "max_rate_limit": 0.1, "adaptive": False}}
    run = Run(tmp_path, urls(3), lambda _: GONE, {**slow, "downloader_parameters": {"default_rate_limit": 0.1}})
    worker = run.worker(seconds=5.5)
    while not run.fetcher.started or worker.next_turn_s() <= run.clock.now_s:
        worker.turn()
    seen_s = []
    while run.clock.now_s < 5.0:
        seen_s.append(worker.next_turn_s() - run.clock.now_s)
        worker.turn()
    assert -IDLE_POLL_S <= min(seen_s) <= max(seen_s) <= PROGRESS_INTERVAL_S
    assert worker.next_turn_s() <= 5.5, "then the slice ends"
    worker.finish()


def test_a_worker_has_256_requests_in_flight_at_most(tmp_path: Path) -> None:
    def script(_: FetchRequest) -> Reply:
        return Reply(ErrorKind.HTTP_4XX, 404, after_s=5.0)

    servers = [url for number in range(30) for url in urls(12, f"s{number}.example")]
    quick = {"politeness": {**POLITE, "max_rate_limit": 1e4, "max_connections": 50, "burst": 50}}
    run = Run(tmp_path, servers, script, {**quick, "downloader_parameters": {"default_rate_limit": 1e3}})
    run.slice()
    assert run.fetcher.most_in_flight == MAX_IN_FLIGHT == 256
    assert run.kinds() == {"http_4xx": 360}


def test_servers_that_are_done_are_not_looked_at_in_each_turn_and_get_work_again(tmp_path: Path) -> None:
    def script(request: FetchRequest) -> Reply:
        if "moved" in request.url:
            return Reply(None, 302, redirect_url="http://s3.example/late.jpg", after_s=20.0)
        return GONE

    servers = [url for number in range(20) for url in urls(1, f"s{number}.example")]
    run = Run(tmp_path, [*servers, "http://slow.example/moved.jpg"], script)
    worker = run.worker()
    while run.clock.now_s < 15.0:
        worker.turn()
    assert list(worker._active) == ["slow.example"]
    assert len(worker._queues) == 21
    while not worker.is_over():
        worker.turn()
    assert run.asked()["http://s3.example/late.jpg"] == 1
    assert not worker.finish().unfinished
    assert run.kinds() == {"http_4xx": 21}


def test_work_that_is_given_back_says_when_it_can_go_on(tmp_path: Path) -> None:
    def script(request: FetchRequest) -> Reply:
        if run.clock() < 100.0:
            return Reply(ErrorKind.HTTP_5XX, 503, headers={"retry-after": "100"}, after_s=0.01)
        return found(request)

    run = Run(tmp_path, urls(30), script)
    run.clock.now_s = 50.0
    (item,) = run.slice(seconds=20.0).unfinished
    assert item.left == 30
    waited_s = run.clock.now_s - 50.0
    assert item.ready_in_s == pytest.approx(100.0 - waited_s, abs=1.0)
    assert len(run.fetcher.started) == 1, "the server said so once"


def test_work_that_can_go_on_at_once_says_so(tmp_path: Path) -> None:
    run = Run(tmp_path, urls(500), lambda _: GONE)
    (item,) = run.slice(seconds=2.0).unfinished
    assert 0 < item.left < 500
    assert item.ready_in_s < 1.0


def test_no_work_sleeps_longer_than_the_patience_with_its_server(tmp_path: Path) -> None:
    def script(_: FetchRequest) -> Reply:
        return Reply(ErrorKind.HTTP_5XX, 503, headers={"retry-after": "3000"}, after_s=0.01)

    run = Run(tmp_path, urls(30), script, {"politeness": {**POLITE, "patience_s": 400.0}})
    (item,) = run.slice(seconds=20.0).unfinished
    assert item.ready_in_s == pytest.approx(400.0, abs=1.0)


def test_a_worker_polls_briefly_while_an_answer_of_its_budget_is_on_its_way(tmp_path: Path) -> None:
    run = Run(tmp_path, urls(5), lambda _: GONE)
    worker = run.worker()
    worker.turn()
    (queue,) = worker._queues.values()
    for is_requesting, patience_s in ((True, 0.003), (False, IDLE_POLL_S)):
        queue.is_requesting = is_requesting
        assert worker._patience_s(10.0, 20.0) == patience_s
    assert worker._patience_s(10.0, 10.01) == pytest.approx(0.01)
    assert worker._patience_s(10.0, 10.0) == 0.003, "something waits for room, not for time"
    worker.finish()
