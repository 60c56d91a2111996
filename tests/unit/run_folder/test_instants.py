"""The age of what was saved does not change with the machine's clock."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from ray_downloader.run_folder import instants
from ray_downloader.run_folder.instants import SAVED_AT, Instant


@pytest.mark.parametrize("stepped_s", [-3600.0, 0.0, 86_400.0])
def test_since_the_same_start_of_a_machine_its_clock_does_not_count(stepped_s: float) -> None:
    saved, later = Instant(1000.0, "boot", 50.0), Instant(1100.0 + stepped_s, "boot", 150.0)
    assert later.since(saved) == 100.0
    assert saved.since(later) == -100.0


@pytest.mark.parametrize(("before", "after"), [("boot", "other"), ("", ""), ("boot", ""), ("", "boot")])
def test_between_machines_and_starts_only_the_clocks_say_it(before: str, after: str) -> None:
    assert Instant(1030.0, after, 7.0).since(Instant(1000.0, before, 900.0)) == 30.0


@pytest.mark.parametrize("instant", [Instant(1000.0, "boot", 50.0), Instant(1000.0)])
def test_a_state_says_when_it_was_saved(instant: Instant) -> None:
    assert Instant.of({"rate_rps": 1.0, **instant.in_state()}) == instant
    assert instant.in_state()[SAVED_AT] == 1000.0


@pytest.mark.parametrize(
    ("state", "instant"),
    [
        ({}, Instant(0.0)),
        ({SAVED_AT: "x", "saved_boot_id": "boot", "saved_after_boot_s": 5}, Instant(0.0, "boot", 5.0)),
        ({SAVED_AT: 7, "saved_boot_id": "boot"}, Instant(7.0)),
        ({SAVED_AT: 7, "saved_boot_id": 3, "saved_after_boot_s": 5.0}, Instant(7.0)),
    ],
)
def test_what_cannot_be_read_is_left_out(state: dict[str, object], instant: Instant) -> None:
    assert Instant.of(state) == instant


@pytest.mark.skipif(sys.platform != "linux", reason="where the system says which start of the machine it is")
def test_now_is_known_by_the_clock_and_by_the_machines_start() -> None:
    before_unix_s, before_s = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
    now = Instant.now()
    assert before_unix_s <= now.unix_s <= time.time()
    assert before_s <= now.after_boot_s <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert now.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def test_where_the_system_does_not_say_the_clock_has_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instants, "_boot_id", lambda: "")
    assert Instant.now()[1:] == ("", 0.0)
