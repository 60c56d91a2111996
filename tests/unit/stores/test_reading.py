"""Those who only read a run in a store get its work folder where that can be seen, else a copy of what they need."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ray_downloader import control, status
from ray_downloader.config.settings import OutputStructure
from ray_downloader.config.store_url import StoreUrl
from ray_downloader.errors import ExitCode, UserError
from ray_downloader.monitor.run_report import read_report
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.work_folder import shown_place
from ray_downloader.stores import reading
from ray_downloader.stores.base import StoredObject
from ray_downloader.stores.lease import LEASE, Holder
from ray_downloader.stores.reading import find_run, whole_run, work_folder_of
from ray_downloader.stores.session import held
from tests.support.memory_store import MemoryStore, failing

URL = "s3://bucket/run"
ROWS = {"input": 5, "rejected": 0, "successes": 3, "errors": 1, "left": 1}
PROGRESS = {
    "state": "running",
    "stage": "download",
    "host": "far",
    "pid": 1,
    "process_started_s": 1.0,
    "rows": ROWS,
}
FILES = {
    "settings.json": {"output_structure": {"logs_folder": "protocols"}},
    "run.json": {},
    "protocols/progress.json": PROGRESS,
    "schedules/servers.json": {},
    "urls/rows-00000.parquet": {},
    "images/server_name=a/partition_id=0/_completed": {},
}


class Stores:
    """A store with a run, and what this machine has."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = MemoryStore()
        monkeypatch.setattr(reading, "open_store", lambda _url: self.store)
        monkeypatch.setattr(reading.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
        self.work = RunLayout(tmp_path / "work" / "run", OutputStructure(logs_folder="protocols"))

    def publish(self) -> None:
        """By a machine whose work folder is this one."""
        self.work.root.mkdir(parents=True)
        with held(StoreUrl.parse(URL), self.work, self.store) as mirror:
            for key, content in FILES.items():
                path = self.work.root / key
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(content))
            assert mirror.push_all()


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    made = Stores(tmp_path, monkeypatch)
    made.publish()
    return made


def keys_below(folder: Path) -> set[str]:
    keys = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return {key for key in keys if not key.startswith(".store")}


def test_a_path_is_the_run_itself(tmp_path: Path) -> None:
    assert find_run(str(tmp_path)).folder == tmp_path
    assert whole_run(str(tmp_path / "missing"), "base") == tmp_path / "missing", (
        "whoever reads it says that it is missing"
    )
    assert work_folder_of("out") == Path("out")


def test_a_run_may_be_named_as_its_own_command_names_it(tmp_path: Path) -> None:
    assert find_run(f"path_to_output={tmp_path}") == find_run(str(tmp_path))
    assert work_folder_of(f"path_to_output={tmp_path}") == tmp_path


def test_a_work_folder_that_can_be_seen_is_read_and_nothing_is_fetched(stores: Stores) -> None:
    stores.store.requests.clear()
    assert whole_run(URL, "base") == stores.work.root
    assert work_folder_of(URL) == stores.work.root
    assert stores.store.requests == []


def test_elsewhere_status_fetches_the_small_files_only(stores: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    stores.work.root.rename(stores.work.root.with_name("away"))
    assert status.main([URL, "--json"]) == ExitCode.SETTLED
    assert json.loads(capsys.readouterr().out)["rows"] == ROWS
    folder = find_run(URL).folder
    assert keys_below(folder) == {"settings.json", "run.json", "protocols/progress.json", "schedules/servers.json"}
    assert shown_place(folder) == URL
    assert folder.stat().st_uid == os.getuid()
    assert whole_run(URL, "base") == folder
    assert keys_below(folder) == FILES.keys()
    assert status.main([URL, "--server", "a"]) == ExitCode.USAGE
    assert "use it where the run works" in capsys.readouterr().err


@pytest.mark.parametrize(("age_s", "state"), [(10, "running"), (300, "killed")])
def test_elsewhere_a_run_lives_as_long_as_its_hold_is_renewed(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, age_s: float, state: str
) -> None:
    stores.work.root.rename(stores.work.root.with_name("away"))
    renewed_at = datetime.fromtimestamp(datetime.now(timezone.utc).timestamp() - age_s, timezone.utc)
    read = stores.store.read

    def read_at(key: str) -> tuple[bytes, StoredObject] | None:
        found = read(key)
        return found and (found[0], StoredObject(key, len(found[0]), found[1].etag, renewed_at))

    monkeypatch.setattr(stores.store, "read", read_at)
    report = read_report(whole_run(URL, "base") / "protocols/progress.json")
    assert report is not None and report["state"] == state


def test_elsewhere_an_order_is_refused_with_the_place(stores: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    stores.work.root.rename(stores.work.root.with_name("away"))
    assert control.main([URL, "pause", "a.example"]) == ExitCode.USAGE
    assert f"is worked on in {stores.work.root} on " in capsys.readouterr().err


def test_a_folder_of_another_run_is_not_taken_for_the_work_folder(stores: Stores, tmp_path: Path) -> None:
    holder = Holder.parse(stores.store.objects[LEASE])
    stores.store.objects[LEASE] = Holder(work="another", folder=holder.folder).to_bytes()
    assert find_run(URL).is_copy


def test_what_was_made_from_a_run_is_sent_to_it(stores: Stores) -> None:
    run = find_run(URL)
    (run.folder / "report.html").write_text("page")
    run.send([run.folder / "report.html"])
    assert stores.store.objects["report.html"] == b"page"


def test_a_place_without_a_run_is_one_sentence(stores: Stores) -> None:
    stores.store.objects = {"notes.txt": b"x"}
    with pytest.raises(UserError, match=r"^s3://bucket/run holds no run$"):
        find_run(URL)
    stores.store.objects = {"settings.json": b"{}"}
    assert find_run(URL).is_copy, "copied there by hand"


def test_a_store_that_cannot_be_used_is_one_sentence(stores: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    stores.store.before = failing("s3://bucket/run cannot be used: it cannot be reached")
    for command in (status.main([URL]), control.main([URL, "list"])):
        assert command == ExitCode.USAGE
    assert capsys.readouterr().err.count("cannot be reached\n") == 2
