"""A server's patience is used up only by its own trouble, while nothing else is left to do."""

from __future__ import annotations

import pytest

from ray_downloader.politeness.server.patience import Patience


def waiting(patience_s: float = 900.0, has_answered: bool = True) -> Patience:
    """In trouble, in an idle run, from 100 s on."""
    patience = Patience(patience_s, 50.0)
    patience.has_answered = has_answered
    patience.note_trouble(True, 100.0)
    patience.note_idle(True, 100.0)
    return patience


def test_the_clock_runs_while_the_server_is_in_trouble_and_the_run_idle() -> None:
    patience = waiting()
    assert patience.last_probe_s(100.0) == 1000.0
    assert patience.last_probe_s(400.0) == 1000.0
    assert not patience.is_used_up(999.4)
    assert patience.is_used_up(999.6)
    assert patience.last_probe_s(2000.0) == 2000.0


@pytest.mark.parametrize("stopped_by", ["busy", "outage", "well"])
def test_it_stands_still_while_there_is_other_work_or_no_network(stopped_by: str) -> None:
    patience = waiting()
    if stopped_by == "busy":
        patience.note_idle(False, 400.0)
    elif stopped_by == "outage":
        patience.note_outage(True, 400.0)
    else:
        patience.note_trouble(False, 400.0)
    assert patience.last_probe_s(500.0) is None
    assert not patience.is_used_up(5000.0)
    patience.note_idle(True, 5000.0)
    patience.note_outage(False, 5000.0)
    patience.note_trouble(True, 5000.0)
    left_s = 900.0 if stopped_by == "well" else 600.0
    assert patience.last_probe_s(5000.0) == 5000.0 + left_s, "well again, the next trouble finds all the patience"


def test_time_before_the_trouble_does_not_count() -> None:
    patience = Patience(900.0, 0.0)
    patience.has_answered = True
    assert patience.last_probe_s(10.0) is None
    patience.note_idle(True, 10.0)
    assert patience.last_probe_s(100.0) is None
    patience.note_trouble(True, 500.0)
    assert patience.last_probe_s(500.0) == 1400.0


@pytest.mark.parametrize(
    ("patience_s", "has_answered", "allowed_s"),
    [(900.0, True, 900.0), (900.0, False, 120.0), (60.0, False, 60.0), (60.0, True, 60.0)],
)
def test_one_that_never_answered_has_two_minutes(patience_s: float, has_answered: bool, allowed_s: float) -> None:
    patience = waiting(patience_s, has_answered)
    assert patience.allowed_s == allowed_s
    assert patience.last_probe_s(100.0) == 100.0 + allowed_s
    assert not patience.is_used_up(100.0 + allowed_s - 0.5)
    assert patience.is_used_up(100.0 + allowed_s - 0.49)


def test_a_server_is_taken_for_one_that_never_answered_until_it_does() -> None:
    assert not Patience(900.0, 0.0).has_answered


@pytest.mark.parametrize(("patience_s", "check_s"), [(900.0, 45.0), (100.0, 5.0), (1.0, 0.25)])
def test_a_worker_that_waits_looks_now_and_then(patience_s: float, check_s: float) -> None:
    assert waiting(patience_s).check_s == check_s


def test_a_clock_that_is_read_back_takes_no_patience() -> None:
    patience = waiting()
    patience.note_idle(True, 400.0)
    patience.note_idle(True, 300.0)
    assert patience.last_probe_s(300.0) == 900.0


def test_patience_does_not_run_out_while_the_operator_pauses_the_server() -> None:
    patience = waiting()
    patience.note_pause(True, 200.0)
    assert patience.last_probe_s(200.0) is None
    patience.note_pause(False, 5_000.0)
    assert patience.last_probe_s(5_000.0) == 5_000.0 + 800.0
