"""How real servers behave, each against one real worker in virtual time: nothing is lost, or paid for twice.

Those that the driver meets in `tests/simulation`, too, and that take seconds, are left to `make test-thorough`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import DnsFailure, FetchRequest
from ray_downloader.fetch.fake import Reply
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES
from tests.unit.worker.worker_run import POLITE, Run, found

pytestmark = pytest.mark.stage

Script = Callable[[FetchRequest], Reply]


def urls(count: int, host: str = "a.example") -> list[str]:
    return [f"http://{host}/{number:04d}.jpg" for number in range(count)]


def politeness(**keys: Any) -> dict[str, Any]:
    return {"politeness": {**POLITE, **keys}}


def slices(run: Run, seconds: float, most: int) -> int:
    """Work in slices of that length until nothing is left; how many it took."""
    for number in range(most):
        run.slice(seconds=seconds, holder=f"task-{number}")
        if not run.work:
            return number + 1
        run.clock.now_s += max(0.0, min(item.ready_in_s for item in run.work))
    raise AssertionError(f"{sum(item.left for item in run.work)} rows are left after {most} slices")


def images(run: Run) -> int:
    return len(run.read(SUCCESSES, "uuid"))


def failing(failing_urls: set[str], kind: ErrorKind, status: int) -> Script:
    """Some URLs always answer so; the others are served."""

    def script(request: FetchRequest) -> Reply:
        return Reply(kind, status, after_s=0.03) if request.url in failing_urls else found(request)

    return script


def test_the_second_hop_of_a_redirect_is_never_forgotten(tmp_path: Path) -> None:
    """http to https on a slow server: second hops queued behind all first ones, and the slice's end forgot them."""

    def script(request: FetchRequest) -> Reply:
        if request.url.startswith("http://"):
            return Reply(status=301, redirect_url=request.url.replace("http://", "https://"), after_s=0.05)
        return found(request)

    run = Run(tmp_path, urls(120), script, politeness(max_rate_limit=3.0))
    assert slices(run, seconds=10.0, most=12) <= 10
    assert images(run) == 120
    assert len(run.fetcher.started) == 240
    assert set(run.asked().values()) == {1}


def test_nothing_sleeps_for_longer_than_the_patience_with_servers_in_trouble(tmp_path: Path) -> None:
    """Once nothing else is left to do, a server is asked earlier than it was said to the slice."""

    def script(request: FetchRequest) -> Reply:
        return Reply(ErrorKind.HTTP_429, 429, headers={"retry-after": "7200"})

    run = Run(tmp_path, urls(5), script, politeness(patience_s=300.0))
    run.slice(seconds=60.0)
    assert [item.ready_in_s for item in run.work] == [300.0]


def test_a_hop_goes_before_rows_that_were_not_asked_for(tmp_path: Path) -> None:
    order: list[str] = []

    def script(request: FetchRequest) -> Reply:
        order.append(request.url)
        if "/go/" not in request.url:
            return Reply(status=302, redirect_url=request.url.replace(".example/", ".example/go/"), after_s=0.01)
        return found(request)

    run = Run(tmp_path, urls(10), script, politeness(max_rate_limit=2.0))
    run.slice()
    assert order[1] == order[0].replace(".example/", ".example/go/")
    assert images(run) == 10


def test_a_transfer_may_take_all_its_time_whatever_the_slice(tmp_path: Path) -> None:
    """A file that took longer than a slice was cut and asked for again in each slice, for ever."""

    def script(request: FetchRequest) -> Reply:
        reply = found(request)
        return Reply(body=reply.body, headers=reply.headers, after_s=250.0 if "a.example/0000" in request.url else 0.05)

    run = Run(tmp_path, [*urls(5), *urls(300, "b.example")], script, politeness(max_rate_limit=5.0))
    assert slices(run, seconds=20.0, most=3) <= 2
    assert images(run) == 305
    assert set(run.asked().values()) == {1}


def test_other_servers_go_on_while_a_slow_transfer_is_waited_for(tmp_path: Path) -> None:
    started: dict[str, float] = {}

    def script(request: FetchRequest) -> Reply:
        started[request.url] = run.clock()
        reply = found(request)
        return Reply(body=reply.body, headers=reply.headers, after_s=200.0 if "slow" in request.url else 0.05)

    run = Run(tmp_path, [*urls(2, "slow.example"), *urls(400, "b.example")], script, politeness(max_rate_limit=3.0))
    run.slice(seconds=10.0)
    late = [url for url, at_s in started.items() if at_s > 15.0]
    assert len(late) > 300
    assert not any("slow" in url for url in late)


def test_a_drain_waits_ten_seconds_and_what_it_cuts_has_spent_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path, urls(3), lambda request: Reply(after_s=100.0), politeness(max_rate_limit=5.0))
    run.host.drain()
    run.slice()
    assert not run.fetcher.started, "a draining run starts nothing"


def test_five_odd_urls_among_many_end_by_themselves_and_hold_nobody_up(tmp_path: Path) -> None:
    """Wikimedia's odd thumbnail widths: 429s without Retry-After that are about the URL (five cost 203 rows)."""
    odd = {f"http://a.example/{number:04d}.jpg" for number in (20, 90, 91, 150, 299)}
    script = failing(odd, ErrorKind.HTTP_429, 429)
    run = Run(tmp_path, urls(300), script, politeness(max_rate_limit=20.0))
    slices(run, seconds=60.0, most=20)
    assert images(run) == 295
    assert run.kinds() == {"http_429": 5}
    assert run.clock() < 180.0
    assert len(run.fetcher.started) <= 295 + 5 * 3


@pytest.mark.parametrize(("first", "count"), [(0, 20), (100, 20), (480, 20)])
def test_neighbours_that_are_broken_are_their_own_fault(tmp_path: Path, first: int, count: int) -> None:
    """Lists are sorted, so broken files are neighbours: 483 good rows ended as server_dead."""
    broken = {f"http://a.example/{number:04d}.jpg" for number in range(first, first + count)}
    script = failing(broken, ErrorKind.HTTP_5XX, 500)
    run = Run(tmp_path, urls(500), script, politeness(max_rate_limit=20.0))
    slices(run, seconds=60.0, most=40)
    assert images(run) == 500 - count
    assert run.kinds() == {"http_5xx": count}


def test_a_few_files_that_answer_503_for_ever_cost_minutes_and_not_days(tmp_path: Path) -> None:
    broken = {f"http://a.example/{number:04d}.jpg" for number in (10, 50, 51, 52, 170)}
    script = failing(broken, ErrorKind.HTTP_5XX, 503)
    run = Run(tmp_path, urls(200), script, politeness(max_rate_limit=20.0))
    slices(run, seconds=60.0, most=40)
    assert images(run) == 195
    assert run.kinds() == {"http_5xx": 5}
    assert run.clock() < 400.0


def test_ten_minutes_of_maintenance_lose_nothing(tmp_path: Path) -> None:
    def script(request: FetchRequest) -> Reply:
        is_down = 5.0 <= run.clock() < 605.0
        return Reply(ErrorKind.HTTP_5XX, 503, after_s=0.03) if is_down else found(request)

    run = Run(tmp_path, urls(120), script, politeness(max_rate_limit=3.0))
    slices(run, seconds=60.0, most=60)
    assert images(run) == 120
    assert run.clock() < 1_100.0


@pytest.mark.thorough
@pytest.mark.parametrize("kind", [ErrorKind.CONNECT, ErrorKind.DNS])
def test_ninety_seconds_without_a_network_lose_nothing(tmp_path: Path, kind: ErrorKind) -> None:
    def script(request: FetchRequest) -> Reply:
        is_down = 5.0 <= run.clock() < 95.0
        return Reply(kind, None, after_s=0.5) if is_down else found(request)

    hosts = [f"{letter}.example" for letter in "abcdefgh"]
    run = Run(tmp_path, [url for host in hosts for url in urls(100, host)], script, politeness(max_rate_limit=8.0))
    slices(run, seconds=60.0, most=60)
    assert images(run) == 800
    assert run.clock() < 250.0


def test_a_server_that_allows_two_connections_loses_no_row(tmp_path: Path) -> None:
    under_way: list[float] = []

    def script(request: FetchRequest) -> Reply:
        now_s = run.clock()
        under_way[:] = [ends_s for ends_s in under_way if ends_s > now_s]
        if len(under_way) >= 2:
            return Reply(ErrorKind.RESET, None, after_s=0.02)
        under_way.append(now_s + 1.0)
        reply = found(request)
        return Reply(body=reply.body, headers=reply.headers, after_s=1.0)

    run = Run(tmp_path, urls(40), script, politeness(max_rate_limit=10.0))
    slices(run, seconds=60.0, most=20)
    assert images(run) == 40
    assert len(run.fetcher.started) <= 55


@pytest.mark.thorough
def test_bans_of_45_seconds_lose_no_row(tmp_path: Path) -> None:
    """A server that forbids all for 45 s after each 100 files: 60 of 600 rows were lost as http_4xx."""
    served: list[float] = []
    banned_until = [0.0]

    def script(request: FetchRequest) -> Reply:
        now_s = run.clock()
        if now_s < banned_until[0]:
            return Reply(ErrorKind.HTTP_4XX, 403, after_s=0.03)
        served.append(now_s)
        if len(served) % 100 == 0:
            banned_until[0] = now_s + 45.0
        return found(request)

    run = Run(tmp_path, urls(600), script, politeness(max_rate_limit=10.0))
    slices(run, seconds=60.0, most=60)
    assert images(run) == 600


def test_forbidden_files_among_served_ones_cost_one_request_each(tmp_path: Path) -> None:
    def script(request: FetchRequest) -> Reply:
        return Reply(ErrorKind.HTTP_4XX, 403, after_s=0.03) if request.url.endswith("7.jpg") else found(request)

    run = Run(tmp_path, urls(200), script, politeness(max_rate_limit=20.0))
    slices(run, seconds=60.0, most=20)
    assert images(run) == 180
    assert run.read(ERRORS, "error_code") == [403] * 20
    assert len(run.fetcher.started) <= 202


def test_a_server_that_forbids_everything_is_not_believed_at_once(tmp_path: Path) -> None:
    """It may be a ban that passes, and it did: after 45 s."""
    run = Run(tmp_path, urls(50), lambda _: Reply(ErrorKind.HTTP_4XX, 403, after_s=0.03), politeness())
    run.slice()
    assert not run.kinds()
    assert len(run.fetcher.started) < 15


def test_what_the_fetcher_chokes_on_costs_its_own_row(tmp_path: Path) -> None:
    class Unreadable(dict[str, str]):
        def get(self, *_: object) -> Any:
            raise ValueError("a header that nobody can read")

    def script(request: FetchRequest) -> Reply:
        reply = found(request)
        return Reply(body=reply.body, headers=Unreadable(reply.headers)) if "0003" in request.url else reply

    run = Run(tmp_path, urls(10), script, politeness())
    run.slice()
    assert images(run) == 9
    assert run.kinds() == {"internal": 1}
    assert run.read(ERRORS, "error_msg") == ["ValueError('a header that nobody can read')"]


def test_cookies_of_a_redirect_come_back_within_its_row_only(tmp_path: Path) -> None:
    sent: dict[str, str | None] = {}

    def script(request: FetchRequest) -> Reply:
        sent[request.url] = request.headers.get("Cookie")
        if "?" not in request.url and request.headers.get("Cookie") != "wall=passed":
            return Reply(status=302, redirect_url=request.url + "?", headers={"set-cookie": "wall=passed; Path=/"})
        if request.url.endswith("?"):
            return Reply(status=302, redirect_url=request.url[:-1])
        return found(request)

    run = Run(tmp_path, urls(3), script, politeness())
    run.slice()
    assert images(run) == 3
    assert Counter(value for url, value in sent.items() if "?" in url) == {"wall=passed": 3}


def test_one_503_on_robots_txt_excludes_nobody_under_obey(tmp_path: Path) -> None:
    tries: list[float] = []

    def script(request: FetchRequest) -> Reply:
        if request.url.endswith("/robots.txt"):
            tries.append(run.clock())
            if len(tries) == 1:
                return Reply(ErrorKind.HTTP_5XX, 503, after_s=0.01)
            return Reply(body=b"User-agent: *\nDisallow: /0003", after_s=0.01)
        return found(request)

    run = Run(tmp_path, urls(10), script, politeness(robots="obey"))
    slices(run, seconds=60.0, most=10)
    assert images(run) == 9
    assert run.kinds() == {"robots": 1}
    assert len(tries) == 2


def test_a_robots_txt_that_is_never_readable_excludes_under_obey_and_says_so(tmp_path: Path) -> None:
    def script(request: FetchRequest) -> Reply:
        if request.url.endswith("/robots.txt"):
            return Reply(ErrorKind.HTTP_5XX, 500, after_s=0.01)
        return found(request)

    run = Run(tmp_path, urls(10), script, politeness(robots="obey", patience_s=60.0))
    run.host.note_idle(True)
    slices(run, seconds=60.0, most=10)
    assert run.kinds() == {"robots": 10}
    assert "could not be read (500)" in run.read(ERRORS, "error_msg")[0]
    assert not list(run.layout.robots.glob("*")), "a later run asks again"


def test_a_robots_txt_that_names_us_is_obeyed_under_delay(tmp_path: Path) -> None:
    def script(request: FetchRequest) -> Reply:
        if request.url.endswith("/robots.txt"):
            return Reply(body=b"User-agent: ray_downloader\nDisallow: /\n\nUser-agent: *\nDisallow:\n")
        return found(request)

    run = Run(tmp_path, urls(10), script, politeness(robots="delay"))
    run.slice()
    assert run.kinds() == {"robots": 10}


def test_attempts_and_redirects_outlive_a_restart_of_everything(tmp_path: Path) -> None:
    """A new process knows the run folder alone."""

    def script(request: FetchRequest) -> Reply:
        if "/go/" not in request.url:
            return Reply(status=302, redirect_url=request.url.replace(".example/", ".example/go/"), after_s=0.01)
        return Reply(ErrorKind.TRUNCATED, 200, after_s=0.01)

    run = Run(tmp_path, urls(1), script, politeness(max_rate_limit=1.0))
    for number in range(20):
        if not run.work:
            break
        run.slice(seconds=0.5, holder=f"task-{number}")
        run.clock.now_s += 30.0
    assert run.kinds() == {"truncated": 1}
    asked = run.asked()
    assert asked[urls(1)[0]] == 1
    assert asked["http://a.example/go/0000.jpg"] == 3


@pytest.mark.parametrize("count", [1, 2])
def test_a_server_of_one_or_two_urls_that_are_refused_for_ever_is_given_up(tmp_path: Path, count: int) -> None:
    """One URL decides nothing for its server, but where there is no other one it is not waited for without end."""

    def script(_: FetchRequest) -> Reply:
        return Reply(ErrorKind.HTTP_429, 429, after_s=0.03)

    run = Run(tmp_path, urls(count), script, politeness(max_rate_limit=20.0))
    run.host.note_idle(True)
    slices(run, seconds=60.0, most=60)
    assert run.clock() < 1_300.0
    assert len(run.fetcher.started) <= 30
    assert set(run.kinds()) <= {"server_refused", "http_429"}


@pytest.mark.parametrize("count", [1, 2])
def test_a_server_of_one_or_two_urls_is_waited_for_through_its_maintenance(tmp_path: Path, count: int) -> None:
    def script(request: FetchRequest) -> Reply:
        return Reply(ErrorKind.HTTP_5XX, 503, after_s=0.03) if run.clock() < 600.0 else found(request)

    run = Run(tmp_path, urls(count), script, politeness(max_rate_limit=20.0))
    run.host.note_idle(True)
    slices(run, seconds=60.0, most=60)
    assert images(run) == count


@pytest.mark.parametrize("kind", [ErrorKind.CONNECT, ErrorKind.DNS])
def test_a_server_that_never_answered_is_given_up_after_two_minutes(tmp_path: Path, kind: ErrorKind) -> None:
    run = Run(tmp_path, urls(40), lambda _: Reply(kind, None, after_s=0.5), politeness(max_rate_limit=20.0))
    run.host.note_idle(True)
    slices(run, seconds=60.0, most=60)
    assert set(run.kinds()) <= {"server_dead", "dns"}
    assert 60.0 < run.clock() < 240.0


def test_an_only_url_that_always_asks_for_a_minute_is_given_up(tmp_path: Path) -> None:
    def script(_: FetchRequest) -> Reply:
        return Reply(ErrorKind.HTTP_429, 429, headers={"retry-after": "60"}, after_s=0.03)

    run = Run(tmp_path, urls(1), script, politeness(max_rate_limit=20.0))
    run.host.note_idle(True)
    slices(run, seconds=70.0, most=60)
    assert run.kinds() == {"server_refused": 1}
    assert 900.0 < run.clock() < 1_100.0


@pytest.mark.parametrize("count", [1, pytest.param(40, marks=pytest.mark.thorough)])
def test_a_name_that_is_gone_ends_as_dns_while_others_go_on(tmp_path: Path, count: int) -> None:
    def script(request: FetchRequest) -> Reply:
        if "gone" in request.url:
            return Reply(ErrorKind.DNS, None, dns_failure=DnsFailure.NO_SUCH_NAME, after_s=0.05)
        return found(request)

    run = Run(tmp_path, [*urls(count, "gone.example"), *urls(600, "a.example")], script, politeness(max_rate_limit=8.0))
    slices(run, seconds=60.0, most=40)
    assert images(run) == 600
    assert run.kinds() == {"dns": count}
    gone = [at_s for at_s, request in run.fetcher.started if "gone" in request.url]
    assert len(gone) <= 12
    assert 30.0 <= gone[-1] - gone[0] <= 130.0
