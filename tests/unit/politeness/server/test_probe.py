"""One probe at a time finds out whether a server's trouble lasts."""

from __future__ import annotations

from ray_downloader.politeness.server.probe import Probe


def test_a_probe_is_waited_for_a_minute_after_its_permit() -> None:
    probe = Probe()
    assert not probe.is_under_way(-1e12)
    probe.given("a", 10.0)
    assert probe.is_under_way(69.9)
    assert not probe.is_under_way(70.0)
    probe.clear()
    assert not probe.is_under_way(10.0)


def test_only_its_holder_can_let_it_lapse_and_only_after_its_permit() -> None:
    probe = Probe()
    probe.given("a", 10.0)
    probe.has_nothing_under_way("b", 11.0)
    probe.has_nothing_under_way("a", 10.0)
    assert probe.is_under_way(11.0)
    probe.has_nothing_under_way("a", 10.1)
    assert not probe.is_under_way(10.1)
    probe.has_nothing_under_way("", 50.0)
    assert not probe.is_under_way(50.0)


def test_a_holder_without_a_probe_may_say_that_it_has_nothing_under_way() -> None:
    probe = Probe()
    probe.has_nothing_under_way("a", 1.0)
    assert not probe.is_under_way(1.0)


def test_a_probe_whose_permit_is_returned_is_not_waited_for() -> None:
    """A task that ended before its permit was due kept its server from being probed for a minute."""
    probe = Probe()
    probe.given("a", 10.0)
    probe.has_nothing_under_way("b", 5.0, is_returned=True)
    assert probe.is_under_way(5.0)
    probe.has_nothing_under_way("a", 5.0, is_returned=True)
    assert not probe.is_under_way(5.0)
