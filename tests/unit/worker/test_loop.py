"""The worker loop in virtual time: real budgets, batches and pictures; only the network and the clock are scripted."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ray_downloader import image
from ray_downloader.errors import ErrorKind, MachineError
from ray_downloader.fetch.base import FetchRequest
from ray_downloader.fetch.fake import Reply
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES
from ray_downloader.worker.loop import Worker
from ray_downloader.worker.robots_gate import RobotsGate
from tests.support.running import CHECKOUT
from tests.unit.worker.worker_run import POLITE, Run, found, picture

pytestmark = pytest.mark.stage


def test_every_row_becomes_an_image_and_equal_urls_are_fetched_once(tmp_path: Path) -> None:
    run = Run(tmp_path, ["http://a.example/1.jpg"] * 3 + [f"http://b.example/{n}.jpg" for n in range(20)])
    report = run.slice()
    assert sum(counts.by_kind.total() for _, counts in report.finished) == 23
    assert report.unfinished == []
    assert run.asked()["http://a.example/1.jpg"] == 1
    assert len(run.read(SUCCESSES, "uuid")) == 23
    assert run.fetcher.is_closed


def test_requests_keep_the_budget_and_the_connections(tmp_path: Path) -> None:
    run = Run(
        tmp_path,
        [f"http://a.example/{n}.jpg" for n in range(60)],
        groups={"politeness": {**POLITE, "max_rate_limit": 3.0, "max_connections": 2}},
    )
    run.slice()
    times = [at_s for at_s, _ in run.fetcher.started]
    assert all(later - earlier >= 1 / 3 - 1e-6 for earlier, later in pairwise(times))
    assert times[-1] <= 60 / 3 * 1.2
    assert run.fetcher.most_in_flight <= 2


def test_a_transient_failure_is_tried_again_through_the_budget_and_then_stands(tmp_path: Path) -> None:
    run = Run(tmp_path, ["http://a.example/1.jpg"], lambda _: Reply(ErrorKind.HTTP_5XX, 500, after_s=0.01))
    run.slice()
    assert len(run.fetcher.started) == run.settings.network.max_attempts
    assert run.kinds() == {"http_5xx": 1}
    assert run.read(ERRORS, "retry_count") == [run.settings.network.max_attempts - 1]
    assert run.read(ERRORS, "error_code") == [500]


def test_attempts_are_counted_over_slices(tmp_path: Path) -> None:
    run = Run(tmp_path, ["http://a.example/1.jpg"], lambda _: Reply(ErrorKind.HTTP_5XX, 500, after_s=0.01))
    for number in range(10):
        run.slice(seconds=0.2, holder=f"task-{number}")
        run.clock.now_s += 60.0
    assert run.work == []
    assert len(run.fetcher.started) == run.settings.network.max_attempts


def test_a_push_back_pauses_the_whole_server_for_as_long_as_it_says(tmp_path: Path) -> None:
    refused: list[float] = []

    def script(request: FetchRequest) -> Reply:
        if run.clock() >= 1.0 and not refused:
            refused.append(run.clock())
            return Reply(ErrorKind.HTTP_429, 429, headers={"retry-after": "30"})
        return found(request)

    run = Run(tmp_path, [f"http://a.example/{n}.jpg" for n in range(100)], script)
    run.slice()
    later = [at_s for at_s, _ in run.fetcher.started if at_s > refused[0] + 1e-6]
    assert later[0] >= refused[0] + 30.0
    assert len(run.read(SUCCESSES, "uuid")) == 100


def test_a_redirect_spends_the_budget_of_the_server_it_leads_to(tmp_path: Path) -> None:
    def script(request: FetchRequest) -> Reply:
        if "resolver" in request.url:
            return Reply(status=302, redirect_url=request.url.replace("resolver", "archive"))
        return found(request)

    run = Run(tmp_path, [f"http://resolver.example/{n}.jpg" for n in range(12)], script)
    run.slice()
    states = run.host.snapshots()
    assert (states["resolver.example"]["requests"], states["archive.example"]["requests"]) == (12, 12)
    assert set(run.read(SUCCESSES, "final_url")) == {f"http://archive.example/{n}.jpg" for n in range(12)}


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("http://a.example/1.jpg", "redirect_loop"),
        ("ftp://a.example/", "bad_url"),
        ("http://no.example/", "ignored_server"),
    ],
)
def test_a_redirect_that_leads_nowhere_is_named(tmp_path: Path, target: str, kind: str) -> None:
    run = Run(
        tmp_path, ["http://a.example/1.jpg"], lambda _: Reply(status=302, redirect_url=target), ignored=("no.example",)
    )
    run.slice()
    assert run.kinds() == {kind: 1}


def test_an_ignored_server_is_not_asked(tmp_path: Path) -> None:
    run = Run(tmp_path, ["http://no.example/1.jpg", "http://yes.example/1.jpg"], ignored=("no.example",))
    run.slice()
    assert set(run.asked()) == {"http://yes.example/1.jpg"}
    assert run.kinds() == {"ignored_server": 1}
    assert run.read(ERRORS, "error_code") == [-3]


def test_a_dead_server_is_parked_probed_and_given_up(tmp_path: Path) -> None:
    run = Run(tmp_path, [f"http://dead.example/{n}.jpg" for n in range(200)], lambda _: Reply(ErrorKind.CONNECT, None))
    run.host.note_idle(True)
    run.slice()
    assert run.work == []
    assert run.kinds()["server_dead"] > 150
    assert len(run.fetcher.started) < 20


def test_a_server_that_always_opts_out_is_not_asked_for_all(tmp_path: Path) -> None:
    run = Run(
        tmp_path, [f"http://artist.example/{n}.jpg" for n in range(200)],
        lambda _: Reply(body=picture(), headers={"x-robots-tag": "noai"}, after_s=0.01),
    )  # fmt: skip
    run.slice()
    assert run.kinds() == {"opted_out": 200}
    assert len(run.fetcher.started) < 40


ROBOTS = b"User-agent: *\nDisallow: /private/\nCrawl-delay: 2\n"


def with_robots(request: FetchRequest) -> Reply:
    return Reply(body=ROBOTS) if request.url.endswith("/robots.txt") else found(request)


@pytest.mark.parametrize(("mode", "excluded"), [("obey", 5), ("delay", 0)])
def test_robots_txt_is_fetched_once_and_its_delay_kept(tmp_path: Path, mode: str, excluded: int) -> None:
    urls = [f"http://a.example/{folder}/{n}.jpg" for folder in ("private", "public") for n in range(5)]
    run = Run(tmp_path, urls, with_robots, {"politeness": {**POLITE, "robots": mode}})
    run.slice()
    assert run.kinds() == ({"robots": excluded} if excluded else {})
    assert run.asked()["http://a.example/robots.txt"] == 1
    assert run.host.progress_news(None).progress.disallowed == {"a.example": 5}
    times = [at_s for at_s, _ in run.fetcher.started][2:]
    assert all(later - earlier >= 1.9 for earlier, later in pairwise(times))


OURS = b"User-agent: ray_downloader\nDisallow: /private/\n"


def test_a_group_that_names_us_is_obeyed_for_each_host_of_a_group_and_its_rows_do_not_wait_for_other_hosts(
    tmp_path: Path,
) -> None:
    """A budget for hundreds of hosts with a row each: their files came first, for as long as that took."""

    def script(request: FetchRequest) -> Reply:
        return Reply(body=OURS, after_s=0.01) if request.url.endswith("/robots.txt") else found(request)

    urls = [f"http://c{host}.staticflickr.com/{path}/1.jpg" for host in range(40) for path in ("private", "open")]
    run = Run(tmp_path, urls, script, asks_for_robots=True)
    run.slice()
    assert run.kinds() == {"robots": 40}
    assert max(run.asked().values()) == 1
    assert len(run.fetcher.started) == 80
    assert any(request.url.endswith(".jpg") for _, request in run.fetcher.started[:4])


@pytest.mark.parametrize("mode", ["delay", "ignore"])
def test_a_robots_txt_that_takes_longer_than_a_task_costs_its_server_one_attempt(tmp_path: Path, mode: str) -> None:
    """Each task asked again, and had no time left for the rows."""

    def script(request: FetchRequest) -> Reply:
        return (
            Reply(ErrorKind.TIMEOUT, status=None, after_s=100.0)
            if request.url.endswith("/robots.txt")
            else found(request)
        )

    urls = [f"http://a.example/{number}.jpg" for number in range(5)]
    run = Run(tmp_path, urls, script, {"politeness": {**POLITE, "robots": mode}}, asks_for_robots=True)
    for number in range(3):
        run.slice(seconds=20.0, holder=f"task-{number}")
    assert len(run.read(SUCCESSES, "uuid")) == 5
    assert run.asked()["http://a.example/robots.txt"] == 1


def test_servers_that_wait_for_room_in_their_worker_cost_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of hundreds with a row each, all were looked at in each turn, and whether another task has their robots.txt."""
    looked: Counter[str] = Counter()

    def counting(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            looked[name] += 1
            return original(*arguments)

        return call

    monkeypatch.setattr(Worker, "_advance", counting("servers", Worker._advance))
    monkeypatch.setattr(RobotsGate, "recall", counting("files", RobotsGate.recall))
    urls = [f"http://h{number}.example/1.jpg" for number in range(600)]
    unlimited = {"enabled": False, "adaptive": False, "robots": "ignore"}
    run = Run(tmp_path, urls, with_robots, {"politeness": unlimited}, asks_for_robots=True)
    run.slice()
    assert len(run.fetcher.started) == 1200
    assert looked["files"] == 600
    assert looked["servers"] < 10 * 600


def with_tdmrep(request: FetchRequest) -> Reply:
    if request.url.endswith("/.well-known/tdmrep.json"):
        return Reply(body=b'[{"location": "/private/", "tdm-reservation": 1}]')
    return with_robots(request)


def test_tdmrep_json_is_fetched_once_after_robots_txt_if_it_counts(tmp_path: Path) -> None:
    urls = [f"http://a.example/{folder}/{n}.jpg" for folder in ("private", "open") for n in range(5)]
    run = Run(
        tmp_path / "strict", urls, with_tdmrep, {"politeness": {**POLITE, "robots": "delay", "opt_out": "strict"}}
    )
    run.slice()
    assert run.kinds() == {"opted_out": 5}
    files = [request.url.removeprefix("http://a.example") for _, request in run.fetcher.started[:2]]
    assert files == ["/robots.txt", "/.well-known/tdmrep.json"]
    assert max(run.asked().values()) == 1
    plain = Run(tmp_path / "plain", urls, with_tdmrep, {"politeness": {**POLITE, "robots": "delay"}})
    plain.slice()
    assert "http://a.example/.well-known/tdmrep.json" not in plain.asked()


def test_a_kept_robots_txt_is_not_fetched_again(tmp_path: Path) -> None:
    groups = {"politeness": {**POLITE, "robots": "obey"}}
    Run(tmp_path, ["http://a.example/private/1.jpg"], with_robots, groups).slice()
    again = Run(tmp_path, ["http://a.example/private/1.jpg"], with_robots, groups)
    again.slice(holder="later")
    assert not again.fetcher.started


def test_the_delay_of_a_kept_robots_txt_is_kept(tmp_path: Path) -> None:
    """A later run, whose budgets know nothing of it, does not ask for the file again."""
    urls = [f"http://a.example/public/{n}.jpg" for n in range(5)]
    Run(tmp_path, urls, with_robots, {"politeness": {**POLITE, "robots": "obey"}}).slice(seconds=1.0)
    again = Run(tmp_path, urls, with_robots, {"politeness": {**POLITE, "robots": "obey"}})
    again.slice(holder="later")
    times = [at_s for at_s, request in again.fetcher.started if not request.url.endswith("/robots.txt")]
    assert len(times) == len(again.fetcher.started) >= 4
    assert all(later - earlier >= 1.9 for earlier, later in pairwise(times[1:]))


@pytest.mark.parametrize("ban_s", [45.0, float("inf")])
def test_a_403_for_the_last_row_of_a_server_that_refuses_others_too_is_asked_about_later(
    tmp_path: Path, ban_s: float
) -> None:
    """No other row is left to tell by whether it is a ban; it was asked for again at once, without end."""
    asked: dict[str, float] = {}

    def script(request: FetchRequest) -> Reply:
        asked.setdefault(request.url, run.clock())
        if len(asked) == 12 and run.clock() < list(asked.values())[-1] + ban_s:
            return Reply(ErrorKind.HTTP_4XX, 403)
        return found(request)

    run = Run(tmp_path, [f"http://a.example/{n}.jpg" for n in range(12)], script)
    run.slice()
    assert run.kinds() == {}, "a URL that was served before is forbidden, too"
    assert sum(run.asked().values()) <= 11 + 8


def test_a_403_for_the_last_row_is_its_own_if_a_url_that_was_served_before_is_served_again(tmp_path: Path) -> None:
    asked: list[str] = []

    def script(request: FetchRequest) -> Reply:
        asked.append(request.url)
        return Reply(ErrorKind.HTTP_4XX, 403) if len(asked) == 12 else found(request)

    run = Run(tmp_path, [f"http://a.example/{n}.jpg" for n in range(12)], script)
    run.slice()
    assert run.kinds() == {"http_4xx": 1}
    assert len(asked) == 13
    assert asked[12] in asked[:11]
    assert run.clock() < 10.0


def test_what_is_no_picture_is_named_and_the_batch_goes_on(tmp_path: Path) -> None:
    def script(request: FetchRequest) -> Reply:
        return Reply(body=b"<html>gone</html>") if request.url.endswith("0.jpg") else found(request)

    run = Run(tmp_path, [f"http://a.example/{n}.jpg" for n in range(5)], script)
    run.slice()
    assert run.kinds() == {"not_image": 1}
    assert len(run.read(SUCCESSES, "uuid")) == 4


def test_a_bug_in_the_image_code_costs_one_row(tmp_path: Path) -> None:
    def process(body: bytes, is_complete: bool, is_suspect: bool) -> image.ProcessedImage:
        raise ZeroDivisionError

    run = Run(tmp_path, ["http://a.example/1.jpg"], process=process)
    run.slice()
    assert run.kinds() == {"internal": 1}


#: A worker whose decoder kills it at the second picture, as a well-formed header may hide.
_KILLED_WORKER = """
import os, signal, sys
from pathlib import Path
from ray_downloader import image
from tests.unit.worker.worker_run import Run

decoded = 0

def process(body, is_complete, is_suspect):
    global decoded
    decoded += 1
    if decoded == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return image.process(body, image.ImageOptions(), complete=is_complete)

Run(Path(sys.argv[1]), sys.argv[2:], process=process).slice()
"""


def test_a_row_that_killed_its_worker_is_isolated_next_time(tmp_path: Path) -> None:
    urls = [f"http://a.example/{n}.jpg" for n in range(3)]
    worker = subprocess.run([sys.executable, "-c", _KILLED_WORKER, tmp_path, *urls], cwd=CHECKOUT, check=False)
    assert worker.returncode == -signal.SIGKILL

    isolated: list[bool] = []

    def process(body: bytes, is_complete: bool, is_suspect: bool) -> image.ProcessedImage:
        isolated.append(is_suspect)
        return image.process(body, image.ImageOptions(), complete=is_complete)

    run = Run(tmp_path, urls, process=process)
    run.slice(holder="next")
    assert sorted(run.read(SUCCESSES, "identifier")) == urls
    assert isolated.count(True) == 1, "the row that was being decoded when the worker died, and no other"
    assert not list(run.layout.images.rglob("_under_decode"))


def test_a_slice_ends_on_time_and_the_next_one_goes_on(tmp_path: Path) -> None:
    run = Run(
        tmp_path,
        [f"http://a.example/{n}.jpg" for n in range(300)],
        groups={"politeness": {**POLITE, "max_rate_limit": 3.0}},
    )
    report = run.slice(seconds=20.0)
    left = report.unfinished[0].left
    assert 230 <= left <= 260
    assert run.clock() <= 31.0
    run.slice(holder="next")
    assert len(run.read(SUCCESSES, "uuid")) == 300
    assert max(run.asked().values()) == 1


def test_a_draining_run_starts_nothing_new(tmp_path: Path) -> None:
    run = Run(tmp_path, [f"http://a.example/{n}.jpg" for n in range(50)])
    run.host.drain()
    report = run.slice()
    assert len(run.fetcher.started) <= 1
    assert report.unfinished[0].left >= 49


def test_rows_of_many_dead_servers_do_not_keep_those_of_others_waiting(tmp_path: Path) -> None:
    urls = [f"http://{'dead' if n % 3 else 'live'}-{n}.example/{k}.jpg" for n in range(300) for k in range(2)]
    delivered: list[float] = []

    def script(request: FetchRequest) -> Reply:
        if "dead" in request.url:
            return Reply(ErrorKind.DNS, None)
        delivered.append(run.clock())
        return found(request)

    run = Run(tmp_path, urls, script)
    run.host.note_idle(True)
    run.slice()
    assert len(delivered) == 200
    assert max(delivered) < 15.0, "the dead are given up after two minutes"
    assert run.kinds().total() == 400


def test_the_network_goes_on_while_a_picture_is_decoded_elsewhere(tmp_path: Path) -> None:
    """The slow picture is finished only when all others have been settled."""
    slow: Future[image.ProcessedImage] = Future()

    def process(
        body: bytes, is_complete: bool, is_suspect: bool
    ) -> image.ProcessedImage | Future[image.ProcessedImage]:
        made = image.process(body[:-4], image.ImageOptions())
        if not body.endswith(b"slow"):
            settled.append(made)
            if len(settled) == 20:
                slow.set_result(made)
            return made
        return slow

    def script(request: FetchRequest) -> Reply:
        ending = b"slow" if request.url.endswith("/00.jpg") else b"good"
        return Reply(body=picture() + ending, headers={"content-length": str(len(picture()) + 4)}, after_s=0.05)

    settled: list[image.ProcessedImage] = []
    run = Run(tmp_path, [f"http://a.example/{n:02}.jpg" for n in range(21)], script, process=process)
    run.slice()
    assert len(run.read(SUCCESSES, "uuid")) == 21


@pytest.mark.parametrize("kind", [ErrorKind.DECODE_FAILED, ErrorKind.INTERNAL], ids=str)
def test_a_picture_that_fails_elsewhere_costs_its_row(tmp_path: Path, kind: ErrorKind) -> None:
    def process(body: bytes, is_complete: bool, is_suspect: bool) -> Future[image.ProcessedImage]:
        future: Future[image.ProcessedImage] = Future()
        if len(failed) == 1:
            future.set_result(image.process(body, image.ImageOptions()))
        else:
            is_internal = kind is ErrorKind.INTERNAL
            future.set_exception(ZeroDivisionError() if is_internal else image.ImageError(kind, "it crashed"))
        failed.append(future)
        return future

    failed: list[Future[image.ProcessedImage]] = []
    run = Run(tmp_path, [f"http://a.example/{n}.jpg" for n in range(3)], process=process)
    run.slice()
    assert run.kinds() == {str(kind): 2}
    assert len(run.read(SUCCESSES, "uuid")) == 1


@pytest.mark.parametrize("where", ["fetcher", "decoder"])
def test_what_this_machine_lacks_settles_no_row(tmp_path: Path, where: str) -> None:
    def script(request: FetchRequest) -> Reply:
        if where == "fetcher" and is_lacking and request.url.endswith("/2.jpg"):
            return Reply(ErrorKind.INTERNAL, lack=MachineError("no room on scratch"))
        return found(request)

    def process(body: bytes, is_complete: bool, is_suspect: bool) -> Future[image.ProcessedImage]:
        future: Future[image.ProcessedImage] = Future()
        if where == "decoder" and is_lacking:
            future.set_exception(MachineError("no room on scratch"))
        else:
            future.set_result(image.process(body, image.ImageOptions()))
        return future

    is_lacking = True
    run = Run(tmp_path, [f"http://a.example/{n}.jpg" for n in range(4)], script, process=process)
    with pytest.raises(MachineError, match="no room on scratch"):
        run.slice(holder="first")
    assert run.kinds() == {}
    is_lacking = False
    run.slice(holder="second")
    assert (run.kinds(), len(run.read(SUCCESSES, "uuid"))) == ({}, 4)


def test_a_picture_that_is_still_decoded_when_a_drain_ends_is_fetched_again(tmp_path: Path) -> None:
    def process(body: bytes, is_complete: bool, is_suspect: bool) -> Future[image.ProcessedImage]:
        run.host.drain()
        return Future()

    run = Run(tmp_path, ["http://a.example/1.jpg"], process=process)
    report = run.slice()
    assert [item.left for item in report.unfinished] == [1]
    assert run.kinds() == {}
