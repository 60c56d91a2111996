"""A wait is said when it begins or changes, and not every second."""

from __future__ import annotations

import pytest

from ray_downloader.monitor.waiting import MOST_LINES, Waiting, WaitingLog
from ray_downloader.politeness.messages import WaitReason

NOW = 1.8e9


class Said:
    """A log, and the lines in it."""

    def __init__(self, rows: int = 7) -> None:
        self.lines: list[str] = []
        self._log = WaitingLog(self.lines.append, lambda _: rows)

    def after(self, now_s: float, **waits: tuple[WaitReason, float | None]) -> list[str]:
        before = len(self.lines)
        waiting = {
            name: Waiting(reason, None if until_s is None else NOW + until_s)
            for name, (reason, until_s) in waits.items()
        }
        self._log.update(waiting, NOW + now_s)
        return self.lines[before:]


def test_a_line_names_server_reason_end_and_rows() -> None:
    said = Said()
    said._log.update({"a.org": Waiting(WaitReason.RETRY_AFTER, NOW + 600, "503 down for maintenance")}, NOW)
    assert said.lines == [
        'a.org asked us to wait (it said: "503 down for maintenance") until 2027-01-15T08:10:00+00:00; 7 rows wait'
    ]


def test_a_wait_is_said_once_and_again_when_it_grows() -> None:
    said = Said()
    assert len(said.after(0, a=(WaitReason.BACKOFF, 60))) == 1
    assert said.after(30, a=(WaitReason.BACKOFF, 60.2)) == []
    assert len(said.after(58, a=(WaitReason.BACKOFF, 180))) == 1
    assert said.after(60) == [], "that it is over shows in what comes next"
    assert len(said.after(300, a=(WaitReason.BACKOFF, 360))) == 1


def test_a_change_of_reason_is_said() -> None:
    said = Said()
    said.after(0, a=(WaitReason.BACKOFF, 60))
    assert "in trouble" in said.after(1, a=(WaitReason.DEFERRED, 60))[0]


@pytest.mark.parametrize("reason", [WaitReason.BACKOFF, WaitReason.QUOTA])
def test_the_usual_pace_is_not_worth_a_line(reason: WaitReason) -> None:
    assert Said().after(0, a=(reason, 2.0)) == []


def test_a_crawl_delay_is_said_once_a_run() -> None:
    said = Said()
    lines = [said.after(second, a=(WaitReason.CRAWL_DELAY, second + 30)) for second in range(0, 300, 30)]
    assert [len(found) for found in lines] == [1] + [0] * 9


def test_an_outage_is_not_said_for_each_server() -> None:
    assert Said().after(0, a=(WaitReason.OUTAGE, None)) == []


def test_a_server_without_rows_is_not_worth_a_line() -> None:
    assert Said(rows=0).after(0, a=(WaitReason.BACKOFF, 600)) == []


def test_very_many_waits_are_summed_up() -> None:
    waits = {f"s{n}": (WaitReason.BACKOFF, 600.0) for n in range(100)}
    lines = Said().after(0, **waits)
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == "90 more servers wait: backoff 90"
