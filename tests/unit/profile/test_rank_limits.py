"""Ranks that hang are ended: before they have found each other, and when their work cannot take that long."""

from __future__ import annotations

import sys

import pytest

from ray_downloader.profile.launch import START_LIMIT_S, STARTED, TIMED_OUT, RankLimits, watch_ranks

HANGS = "import signal; signal.pause()"


@pytest.mark.parametrize(
    ("jobs_by_piece", "ranks", "turns"),
    [([1] * 10, 4, 2), ([1] * 1000, 2, 9), ([100, 1], 8, 101), ([], 1, 1)],
    ids=["one turn", "many servers", "a large group", "nothing"],
)
def test_the_limit_is_more_than_the_slowest_work_takes(jobs_by_piece: list[int], ranks: int, turns: int) -> None:
    limits = RankLimits.of(jobs_by_piece, ranks, max_seconds=60.0)
    assert limits.start_s == START_LIMIT_S
    assert limits.total_s == START_LIMIT_S + 2 * 60.0 * turns


def run(program: str, start_s: float, total_s: float) -> int:
    return watch_ranks([sys.executable, "-u", "-c", program], {}, RankLimits(start_s, total_s))


def test_ranks_that_never_meet_are_ended(caplog: pytest.LogCaptureFixture) -> None:
    assert run(f"print('waiting for node2'); {HANGS}", start_s=0.1, total_s=600.0) == TIMED_OUT
    assert "the ranks did not start within 0.1 s and are stopped" in caplog.text


def test_ranks_that_have_met_get_the_time_of_their_work(caplog: pytest.LogCaptureFixture) -> None:
    assert run(f"print('profile: 2 {STARTED}'); {HANGS}", start_s=60.0, total_s=0.1) == TIMED_OUT
    assert "the ranks did not end within 0.1 s and are stopped" in caplog.text


def test_ranks_that_end_in_time_keep_their_exit_code_and_their_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "ray_downloader")
    assert run(f"import sys; print('2 {STARTED}'); print('last words', file=sys.stderr); sys.exit(5)", 60.0, 60.0) == 5
    assert "last words" in caplog.text
