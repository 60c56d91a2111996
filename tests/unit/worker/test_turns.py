"""Single turns of a worker: when the next one can do something, how much is in flight, and when work can continue."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from ray_downloader import image
from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import DnsFailure, FetchRequest, FetchResult
from ray_downloader.fetch.fake import Reply
from ray_downloader.politeness.messages import Lease, Verdict
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES
from ray_downloader.worker.budgets import BudgetReply
from ray_downloader.worker.loop import IDLE_POLL_S, MAX_IN_FLIGHT, PROGRESS_INTERVAL_S
from ray_downloader.worker.progress import Progress, ProgressDelta
from ray_downloader.worker.request_policy import Failure
from tests.unit.worker.worker_run import POLITE, Run, found, picture

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


def test_what_a_task_reports_adds_up_to_what_it_did(tmp_path: Path) -> None:
    def script(request: FetchRequest) -> Reply:
        if "lost" in request.url:
            return Reply(ErrorKind.DNS, None, dns_failure=DnsFailure.NO_ANSWER, after_s=0.01)
        if "unknown" in request.url:
            return Reply(ErrorKind.DNS, None, dns_failure=DnsFailure.NO_SUCH_NAME, after_s=0.01)
        return replace(GONE, after_s=0.25) if "gone" in request.url else found(request)

    run = Run(
        tmp_path, [*urls(4), *urls(2, "gone.example"), *urls(1, "lost.example"), *urls(1, "unknown.example")], script
    )
    reports: list[ProgressDelta] = []
    report = run.host.report

    def noted(delta: ProgressDelta) -> BudgetReply:
        reports.append(delta)
        return report(delta)

    run.host.report = noted  # type: ignore[method-assign] # to see what comes
    run.slice(seconds=2.5)
    total = Progress()
    for number, one in enumerate(reports):
        total.add(one, float(number))
    images, gone = total.settled["a.example", ""], total.settled["gone.example", "http_4xx"]
    assert (images, gone) == (4, 2)
    assert total.answered == 6
    assert total.unreached["lost.example"] == total.unresolved >= 1
    assert total.unreached["unknown.example"] == total.turned_away >= 1
    assert total.statuses["a.example", "200"] == 4 and total.statuses["gone.example", "404"] == 2
    assert total.size_bytes == 4 * len(picture())
    assert total.stored_bytes == 4 * len(image.process(picture(), image.ImageOptions.of(run.settings)).image)
    assert total.ttfb_s["gone.example"] == pytest.approx(0.5)
    assert {one.holder for one in reports} == {"task"}
    assert reports[0].queues == (8, 0, 0), "nothing was assigned yet"
    assert reports[-1].queues[1:] == (0, 0)
    assert [one.is_busy for one in reports][-1] is False, "only servers in trouble are left"


def test_an_answer_that_cannot_be_processed_costs_its_row_and_is_told_to_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, urls(3))
    read = run.policy.failure_of

    def failing(result: FetchResult, *arguments: object, **options: bool) -> Failure | None:
        if len(run.fetcher.started) == 2:
            raise RuntimeError("a header that nobody expected")
        return read(result, *arguments, **options)  # type: ignore[arg-type] # passed on

    monkeypatch.setattr(run.policy, "failure_of", failing)
    run.slice()
    assert run.kinds() == {"internal": 1}
    assert run.read(ERRORS, "error_msg") == ["RuntimeError('a header that nobody expected')"]
    assert run.read(ERRORS, "http_status") == [200]
    assert len(run.read(SUCCESSES, "uuid")) == 2
    assert run.host.snapshots()["a.example"]["requests"] == 3


@pytest.mark.parametrize(("hops", "kinds"), [(5, {}), (6, {"redirect_loop": 1})])
def test_as_many_redirects_are_followed_as_may_be(tmp_path: Path, hops: int, kinds: dict[str, int]) -> None:
    def script(request: FetchRequest) -> Reply:
        number = int(request.url.rpartition("/")[2].partition(".")[0])
        if number == hops:
            return found(request)
        return Reply(None, 302, redirect_url=f"http://a.example/{number + 1}.jpg", after_s=0.01)

    run = Run(tmp_path, ["http://a.example/0.jpg"], script, {"network": {"max_redirects": 5}})
    run.slice()
    assert run.kinds() == kinds
    assert len(run.fetcher.started) == 6
    if kinds:
        assert run.read(ERRORS, "error_msg") == ["over 5 redirects"]


def test_a_403_that_stays_alone_is_believed_after_as_many_attempts_as_a_row_has(tmp_path: Path) -> None:
    def script(request: FetchRequest) -> Reply:
        return Reply(ErrorKind.HTTP_4XX, 403, after_s=0.01)

    run = Run(tmp_path, ["http://a.example/0.jpg", "http://a.example/1.jpg"], script, {"network": {"max_attempts": 2}})
    run.slice(seconds=100_000.0)
    assert run.kinds() == {"http_4xx": 2}
    assert set(run.asked().values()) == {2}


def test_neighbours_of_the_list_are_not_requested_one_after_the_other(tmp_path: Path) -> None:
    """They fail together, as the pictures of one collection do, and that looks like trouble of the server."""
    run = Run(tmp_path, urls(30))
    run.slice()
    asked = [request.url for _, request in run.fetcher.started]
    assert sorted(asked) == urls(30)
    assert sum(one < two for one, two in pairwise(asked)) < 25


TIMEOUT = Failure(ErrorKind.TIMEOUT, "no answer")


@pytest.mark.parametrize(
    ("failure", "is_retry", "is_odd", "verdict", "kind"),
    [
        (TIMEOUT, True, True, Verdict.DEAD, "timeout"),
        (TIMEOUT, True, True, Verdict.REFUSED, "timeout"),
        (TIMEOUT, True, False, Verdict.DEAD, "server_dead"),
        (TIMEOUT, False, False, Verdict.DEAD, "server_dead"),
        (TIMEOUT, False, False, Verdict.OPEN, "timeout"),
        (TIMEOUT, True, True, Verdict.BANNED, "ignored_server"),
        (TIMEOUT, True, True, Verdict.OPTED_OUT, "opted_out"),
        (None, True, False, Verdict.DEAD, "server_dead"),
        (None, False, False, Verdict.REFUSED, "server_refused"),
    ],
)
def test_a_row_that_is_given_up_with_its_server_keeps_a_failure_of_its_own(
    tmp_path: Path, failure: Failure | None, is_retry: bool, is_odd: bool, verdict: Verdict, kind: str
) -> None:
    """Unless it was decided that nothing of that server is wanted: then it does not matter how a row failed.

    It is its own if others were served after it.
    """
    run = Run(tmp_path, urls(1))
    worker = run.worker()
    (row,) = worker._open[0].next_rows()
    row.failure, row.is_retry, row.is_odd = failure, is_retry, is_odd
    queue = worker._queue("a.example")
    queue.granted(Lease("a.example", 0, verdict=verdict), 0.0)
    worker._abandon(row, queue)
    worker.finish()
    assert run.kinds() == {kind: 1}
