"""The limited servers keep to the limit that figures are held against."""

from __future__ import annotations

from benchmarks.politeness.behaviours import LIMIT_RPS, Ban, Behaviour, Queue, TokenBucket, Window


def statuses(server: Behaviour, rate_rps: float, seconds: float) -> list[int]:
    return [server.reply(number / rate_rps).status for number in range(int(rate_rps * seconds))]


def test_a_bucket_delivers_its_limit_and_its_depth() -> None:
    answers = statuses(TokenBucket(10, 429, 1.0), rate_rps=100.0, seconds=10.0)
    assert abs(answers.count(200) - (10 * LIMIT_RPS + 10)) <= 1


def test_a_window_that_counts_refused_requests_delivers_nothing_to_who_does_not_slow_down() -> None:
    assert 200 not in statuses(Window(), rate_rps=100.0, seconds=10.0)[100:]


def test_a_queue_refuses_nothing_and_becomes_slow() -> None:
    server = Queue()
    replies = [server.reply(number / 100) for number in range(100)]
    assert {reply.status for reply in replies} == {200}
    assert replies[-1].wait_s > 2.0


def test_a_ban_follows_refusals_and_ends() -> None:
    server = Ban(patience=3, ban_s=30.0)
    answers = statuses(server, rate_rps=1000.0, seconds=1.0)
    assert answers.count(429) == 3
    assert answers[-1] == 403
    assert server.reply(40.0).status == 200
