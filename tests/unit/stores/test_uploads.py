"""Trouble with the store never loses a result: it is sent later, or by the next command, and the run says which."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ray_downloader.run_folder.lease_file import Timing
from ray_downloader.stores.published import published
from ray_downloader.stores.uploads import Uploads
from tests.support.memory_store import failing
from tests.unit.stores.test_mirror import BATCH, Run, assert_believable


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the thread; the end has virtual time."""
    monkeypatch.setattr("ray_downloader.stores.uploads.FIRST_DELAY_S", 0.01)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path / "run")
    made.lay_out()
    return made


class Slept:
    """Virtual time that only passes in sleeps."""

    def __init__(self) -> None:
        self.delays_s: list[float] = []
        self.timing = Timing(lambda: sum(self.delays_s), self.delays_s.append)


def uploads_of(run: Run, slept: Slept | None = None) -> Uploads:
    return Uploads(run.mirror, run.layout, "s3://bucket/run", (slept or Slept()).timing)


def keys_of(run: Run) -> set[str]:
    return {file.key for file in published(run.layout)}


def test_at_the_end_everything_is_there(run: Run) -> None:
    assert uploads_of(run).finish(patience_s=0)
    assert run.store.objects.keys() == keys_of(run)


def test_the_end_waits_for_trouble_that_passes(run: Run) -> None:
    slept = Slept()
    run.store.before = failing(times=5)
    assert uploads_of(run, slept).finish(patience_s=600)
    assert slept.delays_s == sorted(slept.delays_s)
    assert run.store.objects.keys() == keys_of(run)


def test_the_end_gives_up_after_its_patience_and_says_where_the_results_are(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    slept = Slept()
    run.store.before = failing("s3://bucket/run cannot be used: it cannot be reached")
    assert not uploads_of(run, slept).finish(patience_s=600)
    assert 300 < sum(slept.delays_s) <= 600
    assert "it cannot be reached; they are kept in" in caplog.text
    assert str(run.layout.root) in caplog.text
    assert "the same command sends them" in caplog.text


def test_the_end_does_not_wait_for_what_does_not_pass(run: Run) -> None:
    slept = Slept()
    run.store.before = failing("permission denied", may_pass=False)
    assert not uploads_of(run, slept).finish(patience_s=600)
    assert slept.delays_s == []


def test_finished_batches_go_up_while_the_run_goes_on(run: Run) -> None:
    uploads = uploads_of(run)
    seen = run.until(f"put {BATCH}/_completed")
    uploads.start()
    assert seen.wait(30), "an earlier process did not send it"
    other = BATCH.replace("=0", "=1")
    run.publish("1", other)
    seen = run.until(f"put {other}/_completed")
    uploads.publish([run.layout.root / other])
    assert seen.wait(30)
    run.write("profiles.csv", "x")
    seen = run.until("put profiles.csv")
    uploads.refresh()
    assert seen.wait(30)
    uploads.stop()
    assert_believable(run.store.objects)


def test_trouble_in_the_run_is_told_once_and_nothing_is_lost(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    uploads = uploads_of(run)
    seen = run.until(f"put {BATCH}/_completed")
    run.store.before = failing("it answers with status 503", times=2)
    uploads.start()
    assert seen.wait(60)
    uploads.stop()
    assert caplog.text.count("it answers with status 503; results are kept in") == 1
    assert uploads.finish(patience_s=0)
    assert run.store.objects.keys() == keys_of(run)


def test_a_fault_of_ours_does_not_end_the_sending(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    uploads = uploads_of(run)
    seen = run.until(f"put {BATCH}/_completed")
    faults = [ZeroDivisionError("a fault")]

    def fail(_request: str) -> None:
        if faults:
            raise faults.pop()

    run.store.before = fail
    uploads.start()
    assert seen.wait(60)
    uploads.stop()
    assert "sending failed" in caplog.text


def test_files_that_change_all_the_time_do_not_hold_up_the_end_for_ever(run: Run) -> None:
    slept = Slept()
    written = [0]

    def change(request: str) -> None:
        if request == "put logs/progress.json":
            written[0] += 1
            run.write("logs/progress.json", "x" * written[0])

    run.store.after = change
    assert not uploads_of(run, slept).finish(patience_s=20)
    assert sum(slept.delays_s) <= 20
