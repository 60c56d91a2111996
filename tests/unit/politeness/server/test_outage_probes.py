"""While our own network is out of order, one request now and then finds out whether it still is."""

from __future__ import annotations

from ray_downloader.politeness.server.outage_probes import OutageProbes


def test_without_an_outage_nothing_waits() -> None:
    probes = OutageProbes()
    assert not probes.is_outage
    probes.sent(10.0)
    assert probes.wait_s(10.0) == 0.0


def test_probes_are_doubled_in_distance_up_to_ten_seconds() -> None:
    probes = OutageProbes()
    probes.note(True, 100.0)
    now_s, waits_s = 100.0, []
    for _ in range(7):
        assert probes.wait_s(now_s) == 0.0
        probes.sent(now_s)
        waits_s.append(probes.wait_s(now_s))
        now_s += waits_s[-1]
    assert waits_s == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]
    assert probes.wait_s(now_s - 0.25) == 0.25
    assert probes.wait_s(now_s + 5.0) == 0.0


def test_hearing_of_the_same_outage_again_asks_for_no_further_probe() -> None:
    probes = OutageProbes()
    probes.note(True, 100.0)
    probes.sent(100.0)
    probes.note(True, 100.5)
    assert probes.wait_s(100.5) == 0.5
    probes.sent(101.0)
    assert probes.wait_s(101.0) == 2.0


def test_the_next_outage_begins_with_short_waits() -> None:
    probes = OutageProbes()
    probes.note(True, 100.0)
    for _ in range(5):
        probes.sent(100.0)
    probes.note(False, 200.0)
    assert (probes.is_outage, probes.wait_s(100.0)) == (False, 0.0)
    probes.note(True, 300.0)
    assert probes.is_outage
    assert probes.wait_s(300.0) == 0.0
    probes.sent(300.0)
    assert probes.wait_s(300.0) == 1.0
