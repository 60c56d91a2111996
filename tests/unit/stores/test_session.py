"""The work folder that sent a run last goes on with it; any other first becomes what the store has."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.config.settings import OutputStructure, Settings
from ray_downloader.config.store_url import StoreUrl
from ray_downloader.errors import ExitCode
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.work_folder import WorkNote, shown_place
from ray_downloader.stores.lease import LEASE, Holder
from ray_downloader.stores.session import held, results_of
from tests.support.memory_store import Killed, MemoryStore

URL = StoreUrl.parse("s3://bucket/run")


class Machine:
    """A machine that runs the command.

    Args:
        root: Its work folder.
    """

    def __init__(self, root: Path, store: MemoryStore) -> None:
        root.mkdir()
        self.layout = RunLayout(root, OutputStructure())
        self.store = store

    def run(self, *published: str, journals: str = "") -> None:
        """Publish files, and write a journal that is lost with the machine."""
        with held(URL, self.layout, self.store) as mirror:
            for key in published:
                self.write(key, key)
            if journals:
                self.write(journals, "journal")
            assert mirror.push_all()

    def write(self, key: str, text: str) -> None:
        path = self.layout.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def files(self) -> set[str]:
        found = (path for path in self.layout.root.rglob("*") if path.is_file())
        keys = {path.relative_to(self.layout.root).as_posix() for path in found}
        return {key for key in keys if not key.startswith(".store/")}


def batch(number: int) -> list[str]:
    return [f"images/server_name=a/partition_id={number}/{name}" for name in ("successes.parquet", "_completed")]


def test_the_same_machine_goes_on_with_its_journals_and_fetches_nothing(tmp_path: Path) -> None:
    store = MemoryStore()
    here = Machine(tmp_path / "a", store)
    here.run("run.json", *batch(0), journals="images/server_name=a/partition_id=1/successes-1.arrows")
    store.requests.clear()
    here.run(*batch(1))
    assert not [request for request in store.requests if request.startswith(("get", "delete"))]
    assert "images/server_name=a/partition_id=1/successes-1.arrows" in here.files()
    assert shown_place(here.layout.root) == "s3://bucket/run"


def test_a_fresh_machine_gets_what_the_store_has(tmp_path: Path) -> None:
    store = MemoryStore()
    Machine(tmp_path / "a", store).run("run.json", *batch(0), journals="images/server_name=a/partition_id=1/x.arrows")
    fresh = Machine(tmp_path / "b", store)
    fresh.run()
    assert fresh.files() == {"run.json", *batch(0)}


def test_a_machine_that_others_went_on_from_forgets_its_own_state(tmp_path: Path) -> None:
    store = MemoryStore()
    first = Machine(tmp_path / "a", store)
    first.run("run.json", *batch(0), journals="images/server_name=a/partition_id=1/x.arrows")
    Machine(tmp_path / "b", store).run(*batch(1))
    first.write(".lock", "")
    first.run()
    assert first.files() == {".lock", "run.json", *batch(0), *batch(1)}
    assert {"run.json", *batch(0), *batch(1)} <= store.objects.keys()


def test_a_kill_while_a_fresh_machine_fetches_costs_the_first_one_nothing(tmp_path: Path) -> None:
    store = MemoryStore()
    journal = "images/server_name=a/partition_id=1/x.arrows"
    first = Machine(tmp_path / "a", store)
    first.run("run.json", *batch(0), journals=journal)
    fresh = Machine(tmp_path / "b", store)

    def kill(request: str) -> None:
        if request.startswith("get"):
            raise Killed

    store.after = kill
    with pytest.raises(Killed):
        fresh.run()
    store.after = lambda _: None
    first.run()
    assert journal in first.files()
    fresh.run()
    assert fresh.files() == {"run.json", *batch(0)}


def test_a_place_that_was_emptied_gets_everything_again(tmp_path: Path) -> None:
    store = MemoryStore()
    here = Machine(tmp_path / "a", store)
    here.run("run.json", *batch(0))
    store.objects.clear()
    with held(URL, here.layout, store) as mirror:
        mirror.compare()
        mirror.push_all()
    assert store.objects.keys() == {LEASE, "run.json", *batch(0)}


def test_a_run_that_was_copied_into_the_store_goes_on(tmp_path: Path) -> None:
    store = MemoryStore()
    store.objects = dict.fromkeys(("run.json", *batch(0)), b"x")
    here = Machine(tmp_path / "a", store)
    here.run()
    assert here.files() == {"run.json", *batch(0)}


def test_names_of_folders_are_those_of_the_run_in_the_store(tmp_path: Path) -> None:
    store = MemoryStore()
    store.objects = {
        "settings.json": b'{"output_structure": {"images_folder": "pictures"}}',
        "pictures/server_name=a/partition_id=0/_completed": b"x",
        "images/foreign.jpg": b"x",
    }
    here = Machine(tmp_path / "a", store)
    here.run()
    assert here.files() == {"settings.json", "pictures/server_name=a/partition_id=0/_completed"}


def test_the_run_is_given_back_also_after_a_failure(tmp_path: Path) -> None:
    store = MemoryStore()
    here = Machine(tmp_path / "a", store)
    with pytest.raises(ZeroDivisionError), held(URL, here.layout, store):
        raise ZeroDivisionError
    assert Holder.parse(store.objects[LEASE]).token == ""
    note = WorkNote.load(here.layout.root)
    assert note is not None and note.work == Holder.parse(store.objects[LEASE]).work


def test_results_of_a_folder_are_where_they_belong(tmp_path: Path) -> None:
    settings = Settings.from_config({"path_to_input": "x", "path_to_output": str(tmp_path)})
    with results_of(settings, RunLayout.of(settings)) as results:
        results.publish([tmp_path])
        results.refresh()
        assert results.finish(ExitCode.SETTLED) is ExitCode.SETTLED
    assert list(tmp_path.iterdir()) == []


def in_memory(tmp_path: Path, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("ray_downloader.stores.session.open_store", lambda _url: store)
    values = {"path_to_input": "x", "path_to_output": str(URL), "cluster": {"work_folder": str(tmp_path)}}
    settings = Settings.from_config({**values, "network": {"outage_patience_s": 0.1}})
    settings.path_to_output.mkdir(parents=True)
    return settings


@pytest.mark.parametrize(
    ("ended", "becomes"), [(ExitCode.SETTLED, ExitCode.STOPPED), (ExitCode.STOPPED, ExitCode.STOPPED)], ids=str
)
def test_a_run_whose_results_are_not_all_there_is_not_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: ExitCode, becomes: ExitCode
) -> None:
    store = MemoryStore()
    settings = in_memory(tmp_path, store, monkeypatch)
    monkeypatch.setattr("ray_downloader.stores.session.PATIENCE_OF_A_STOPPED_RUN_S", 0.1)
    with results_of(settings, RunLayout.of(settings)) as results:
        (settings.path_to_output / "summary.json").write_text("{}")
        monkeypatch.setattr(store, "put", _refuse)
        assert results.finish(ended) is becomes


def _refuse(key: str, _content: bytes) -> str:
    from ray_downloader.stores.base import StoreError

    raise StoreError(f"{key} is refused", may_pass=False)


def test_a_run_that_fails_sends_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    settings = in_memory(tmp_path, store, monkeypatch)
    with pytest.raises(ZeroDivisionError), results_of(settings, RunLayout.of(settings)):
        (settings.path_to_output / "summary.json").write_text("{}")
        raise ZeroDivisionError
    assert "summary.json" in store.objects


def test_servers_to_leave_out_may_be_listed_in_the_store_or_here(tmp_path: Path) -> None:
    store = MemoryStore()
    here = Machine(tmp_path / "a", store)
    here.run("run.json")
    ignored = here.layout.root / "ignored.csv"
    store.objects["ignored.csv"] = b"server_name\nin.the.store\n"
    here.run()
    assert ignored.read_bytes() == store.objects["ignored.csv"]
    store.objects["ignored.csv"] = b"server_name\nin.the.store.again\n"
    here.run()
    assert ignored.read_bytes() == b"server_name\nin.the.store.again\n"
    ignored.write_text("server_name\nhere\n")
    here.run()
    assert store.objects["ignored.csv"] == b"server_name\nhere\n"
