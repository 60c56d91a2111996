"""A hold is renewed until it is given up, or another process has it."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from ray_downloader.run_folder.heartbeat import Heartbeat

INTERVAL_S = 0.001


def test_trouble_is_reported_and_the_next_beat_tries_again(caplog: pytest.LogCaptureFixture) -> None:
    beats, enough = iter([OSError(5, "Input/output error"), True, OSError("no number"), True]), threading.Event()

    def renew() -> bool:
        beat = next(beats, None)
        if beat is None:
            enough.set()
        if isinstance(beat, OSError):
            raise beat
        return True

    heartbeat = Heartbeat("/out", INTERVAL_S, renew)
    heartbeat.start()
    assert enough.wait(60)
    heartbeat.stop()
    assert not heartbeat._thread.is_alive()
    assert [record.getMessage() for record in caplog.records] == [
        "/out could not be renewed: Input/output error", "/out could not be renewed: no number",
    ]  # fmt: skip


def test_a_process_whose_place_another_has_taken_stops_itself_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *given: sent.append(given))
    heartbeat = Heartbeat("/out", INTERVAL_S, lambda: False)
    heartbeat.start()
    heartbeat._thread.join()
    heartbeat.stop()
    assert sent == [(os.getpid(), signal.SIGTERM)]
    assert "another run took over /out" in caplog.text


def test_one_that_never_began_can_be_stopped() -> None:
    Heartbeat("/out", INTERVAL_S, lambda: True).stop()


def test_a_process_that_fails_is_not_kept_alive_by_it() -> None:
    """Else whatever forgets to stop it hangs, and holds the folder for ever."""
    assert Heartbeat("/out", INTERVAL_S, lambda: True)._thread.daemon
