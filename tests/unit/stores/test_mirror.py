"""A kill at any moment leaves nothing in the store that a reader would believe wrongly; the rest is sent again."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path

import pytest

from ray_downloader.config.settings import OutputStructure
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.stores.base import StoreError
from ray_downloader.stores.mirror import Mirror, etag_of
from ray_downloader.stores.published import of_batch, published
from ray_downloader.stores.sent_objects import SentObjects
from tests.support.memory_store import Killed, MemoryStore, failing

BATCH = "images/server_name=a.example%3A80/partition_id=0"


class Run:
    """A work folder, and its store.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path, store: MemoryStore | None = None) -> None:
        self.layout = RunLayout(root, OutputStructure())
        self.store = store or MemoryStore()
        self.open()

    def open(self) -> None:
        """What a new process begins with."""
        self.sent_objects = SentObjects(self.layout.root / ".store" / "sent.jsonl")
        self.mirror = Mirror(self.store, self.layout, self.sent_objects)

    def write(self, key: str, text: str) -> Path:
        path = self.layout.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.tmp")
        fresh.write_text(text)
        fresh.replace(path)
        return path

    def publish(self, version: str, batch: str = BATCH) -> None:
        """As `BatchFolder.publish` does it."""
        (self.layout.root / batch / "_completed").unlink(missing_ok=True)
        self.write(f"{batch}/successes.parquet", f"images {version}")
        self.write(f"{batch}/errors.parquet", f"errors {version}")
        self.write(f"{batch}/_completed", json.dumps(version))

    def until(self, request: str) -> threading.Event:
        """Is set when the store has done it."""
        is_done = threading.Event()
        self.store.after = lambda done: is_done.set() if done == request else None
        return is_done

    def lay_out(self) -> None:
        for key in (
            "urls/rows-00000.parquet",
            "urls/batches.parquet",
            "run.json",
            "settings.json",
            "logs/progress.json",
        ):
            self.write(key, f"of {key}")
        self.publish("1")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path / "run")
    made.lay_out()
    return made


def assert_believable(objects: dict[str, bytes]) -> None:
    """A marker is that of the tables beside it, and an index that of rows which are there."""
    if f"{BATCH}/_completed" in objects:
        version = json.loads(objects[f"{BATCH}/_completed"])
        assert objects.get(f"{BATCH}/successes.parquet") == f"images {version}".encode()
        assert objects.get(f"{BATCH}/errors.parquet") == f"errors {version}".encode()
    if "urls/batches.parquet" in objects:
        assert "urls/rows-00000.parquet" in objects


def test_markers_go_up_after_what_they_mark_and_the_run_last(run: Run) -> None:
    assert run.mirror.push_all()
    places = {request.removeprefix("put "): place for place, request in enumerate(run.store.requests)}
    assert places[f"{BATCH}/_completed"] > max(places[f"{BATCH}/successes.parquet"], places[f"{BATCH}/errors.parquet"])
    assert places["urls/batches.parquet"] > places["urls/rows-00000.parquet"]
    assert places["run.json"] > places["urls/batches.parquet"]


def test_journals_locks_and_temporary_files_stay_here(run: Run) -> None:
    for key in (
        ".lock", ".moves.json", ".partitioned/rows.parquet", "trash-20260101T000000Z/images/x", "schedules/robots/a",
        f"{BATCH}/.x.tmp", f"{BATCH}/successes-1.arrows", f"{BATCH}/_under_way.json", "tools/resize/.lock",
        "schedules/profile_parts/1.csv", "images/server_name=b/partition_id=0/successes.parquet",
    ):  # fmt: skip
        run.write(key, "x")
    for key in ("schedules/servers.json", ".reset.json", "tools/resize/images/rows.parquet", "images/README.md"):
        run.write(key, "x")
    run.mirror.push_all()
    assert sorted(run.store.objects) == [
        ".reset.json", "images/README.md", f"{BATCH}/_completed", f"{BATCH}/errors.parquet",
        f"{BATCH}/successes.parquet", "logs/progress.json", "run.json", "schedules/servers.json", "settings.json",
        "tools/resize/images/rows.parquet", "urls/batches.parquet", "urls/rows-00000.parquet",
    ]  # fmt: skip


def test_a_second_time_nothing_is_sent(run: Run) -> None:
    run.mirror.push_all()
    run.store.requests.clear()
    run.mirror.push_all()
    run.open()
    run.mirror.compare()
    run.mirror.push_all()
    assert run.store.requests == []


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(14))
def test_a_kill_at_any_request_leaves_nothing_to_believe_wrongly(tmp_path: Path, at: int, is_done: bool) -> None:
    run = Run(tmp_path / "run")
    run.lay_out()
    run.store.after = lambda _: assert_believable(run.store.objects)

    def kill(_request: str) -> None:
        if len(run.store.requests) == at + is_done:
            raise Killed

    for version in ("1", "2"):
        run.publish(version)
        setattr(run.store, "after" if is_done else "before", kill)
        with contextlib.suppress(Killed):
            run.mirror.push_all()
        assert_believable(run.store.objects)
        run.store.before = run.store.after = lambda _: assert_believable(run.store.objects)
        run.open()
        run.mirror.compare()
        before = dict(run.store.objects)
        run.store.requests.clear()
        assert run.mirror.push_all()
        again = {request.removeprefix("put ") for request in run.store.requests if request.startswith("put ")}
        assert not {key for key in again if before.get(key) == run.store.objects[key]}, "only what was missing"
        assert set(run.store.objects) == {file.key for file in published(run.layout)}
        assert json.loads(run.store.objects[f"{BATCH}/_completed"]) == version
        run.store.requests.clear()


def test_what_others_removed_from_the_store_is_sent_again(run: Run) -> None:
    run.mirror.push_all()
    for key in (f"{BATCH}/successes.parquet", "run.json"):
        del run.store.objects[key]
    run.store.objects["urls/batches.parquet"] = b"of somebody else"
    run.store.requests.clear()
    run.open()
    run.mirror.compare()
    run.mirror.push_all()
    puts = [request for request in run.store.requests if request.startswith("put")]
    assert sorted(puts) == [
        f"put {BATCH}/_completed", f"put {BATCH}/successes.parquet", "put run.json", "put urls/batches.parquet"
    ]  # fmt: skip


def test_what_is_gone_here_goes_there_and_what_is_not_ours_stays(run: Run) -> None:
    run.store.objects["notes.txt"] = run.store.objects["images/mine.jpg"] = b"of the user"
    run.mirror.push_all()
    run.store.requests.clear()
    for name in ("_completed", "successes.parquet", "errors.parquet"):
        (run.layout.root / BATCH / name).unlink()
    (run.layout.root / "urls/batches.parquet").unlink()
    run.mirror.push_all()
    assert run.store.requests[0] == f"delete {BATCH}/_completed"
    assert not [key for key in run.store.objects if key.startswith(BATCH)]
    assert "urls/batches.parquet" not in run.store.objects
    assert {"notes.txt", "images/mine.jpg"} <= run.store.objects.keys()


def test_a_batch_that_is_worked_on_again_loses_its_marker_and_keeps_its_tables(run: Run) -> None:
    run.mirror.push_all()
    (run.layout.root / BATCH / "_completed").unlink()
    run.mirror.push_all()
    assert f"{BATCH}/_completed" not in run.store.objects
    assert f"{BATCH}/successes.parquet" in run.store.objects


def test_a_batch_that_is_published_again_while_it_is_sent_gets_no_marker(run: Run) -> None:
    def publish_again(request: str) -> None:
        if request == f"put {BATCH}/errors.parquet":
            run.store.after = lambda _: None
            run.publish("2, which is longer")

    run.store.after = publish_again
    assert not run.mirror.push(list(of_batch(run.layout, run.layout.root / BATCH)))
    assert f"{BATCH}/_completed" not in run.store.objects
    assert run.mirror.push_all()
    assert_believable(run.store.objects)
    assert json.loads(run.store.objects[f"{BATCH}/_completed"]) == "2, which is longer"


def test_after_a_failure_nothing_else_is_begun_and_the_failure_is_raised(run: Run) -> None:
    for number in range(100):
        run.write(f"urls/rows-{number:05d}.parquet", "rows")
    tried: list[str] = []

    def fail(request: str) -> None:
        tried.append(request)
        raise StoreError("no answer", may_pass=True)

    run.store.before = fail
    with pytest.raises(StoreError, match="no answer"):
        run.mirror.push_all()
    assert len(tried) < 50
    assert not run.store.objects


def test_nothing_is_sent_once_another_process_has_the_run(run: Run) -> None:
    mirror = Mirror(run.store, run.layout, run.sent_objects, lambda: False)
    with pytest.raises(StoreError, match="took over"):
        mirror.push_all()
    assert not run.store.objects


def test_a_fresh_machine_gets_everything_and_has_nothing_to_send(run: Run, tmp_path: Path) -> None:
    run.store.objects |= {"notes.txt": b"root", "_work.json": b"{}", "elsewhere/big.bin": b"not of a run"}
    run.mirror.push_all()
    fresh = Run(tmp_path / "fresh", run.store)
    run.store.requests.clear()
    assert fresh.mirror.pull() == 9
    assert not (fresh.layout.root / "elsewhere").exists()
    assert not (fresh.layout.root / "_work.json").exists()
    for file in published(run.layout):
        assert (fresh.layout.root / file.key).read_bytes() == file.path.read_bytes()
    gets = [request for request in run.store.requests if request.startswith("get")]
    assert gets[-1] == f"get {BATCH}/_completed", "a marker is also the last to come down"
    run.store.requests.clear()
    fresh.open()
    assert fresh.mirror.pull() == 0
    fresh.mirror.compare()
    fresh.mirror.push_all()
    assert run.store.requests == []


def test_fetching_that_was_interrupted_goes_on_where_it_stopped(run: Run, tmp_path: Path) -> None:
    run.mirror.push_all()
    fresh = Run(tmp_path / "fresh", run.store)
    gets: list[str] = []

    def kill(request: str) -> None:
        if request.startswith("get"):
            gets.append(request)
            if len(gets) == 4:
                raise Killed

    run.store.after = kill
    with pytest.raises(Killed):
        fresh.mirror.pull()
    run.store.after = lambda _: None
    fresh.open()
    left = fresh.mirror.pull()
    assert 0 < left < 8
    assert {file.key for file in published(fresh.layout)} == {file.key for file in published(run.layout)}


def test_a_file_that_the_store_no_longer_has_goes_from_a_copy(run: Run, tmp_path: Path) -> None:
    run.mirror.push_all()
    copy = Run(tmp_path / "copy", run.store)
    copy.mirror.pull()
    copy.write("notes-of-mine.txt", "x")
    del run.store.objects["settings.json"]
    copy.mirror.pull(lambda key: key == "run.json")
    assert not (copy.layout.root / "settings.json").exists()
    assert (copy.layout.root / "run.json").exists()
    assert (copy.layout.root / f"{BATCH}/successes.parquet").exists(), "what is not wanted now is kept"
    assert (copy.layout.root / "notes-of-mine.txt").exists()


def test_a_cut_off_line_of_what_was_sent_costs_nothing(run: Run) -> None:
    run.mirror.push_all()
    path = run.layout.root / ".store" / "sent.jsonl"
    os.truncate(path, path.stat().st_size - 7)
    run.store.requests.clear()
    run.open()
    run.mirror.compare()
    run.mirror.push_all()
    assert run.store.requests == [], "the object is recognised by its etag"


def test_trouble_keeps_what_was_sent(run: Run) -> None:
    run.store.before = failing(times=0)
    sent: list[str] = []

    def fail_later(request: str) -> None:
        sent.append(request)
        if len(sent) > 3:
            raise StoreError("no answer", may_pass=True)

    run.store.before = fail_later
    with pytest.raises(StoreError):
        run.mirror.push_all()
    kept = dict(run.store.objects)
    run.store.before = lambda _: None
    run.store.requests.clear()
    assert run.mirror.push_all()
    assert not {f"put {key}" for key in kept} & set(run.store.requests)


def test_the_etag_of_parts_is_that_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray_downloader.stores.mirror.PART_BYTES", 4)
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    assert etag_of(path, '"x"') == '"781e5e245d69b566979b86e28d23f2c7"'
    assert etag_of(path, '"x-3"').endswith('-3"')
