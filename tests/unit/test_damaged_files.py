"""Each small file of a finished run, damaged in each way: one sentence that names it, and the run is whole again."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ray_downloader import control, pipeline, status
from ray_downloader.config.settings import Settings
from ray_downloader.errors import DamagedFileError, ExitCode, RunFolderError, UserError
from ray_downloader.partition.batches import load_batches, read_batch
from ray_downloader.politeness.messages import LeaseRequest
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.report import __main__ as report
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.identity import batch_keys, load_identity, save_identity
from ray_downloader.run_folder.instants import SAVED_AT
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.orders import OrderFile, ServerOrder
from ray_downloader.run_folder.server_states import load_server_states
from ray_downloader.worker.budgets import Budgets
from tests.support.thorough import thorough
from tests.unit.worker.worker_run import Run

pytestmark = pytest.mark.stage

PAGES = "urls/rows-00000.parquet"
FILES = [
    "settings.json", "run.json", "checkpoint.json", "summary.json", ".reset.json", "profiles.csv", "logs/progress.json",
    "schedules/servers.json", "schedules/retry.json", "schedules/orders.jsonl", "urls/batches.parquet",
    "urls/servers.parquet", "urls/rejected.parquet", "urls/partition.json", PAGES,
]  # fmt: skip
STATE = json.dumps({"a.example": {SAVED_AT: 1.8e9, "rate_rps": 2.0}, "b.example": {SAVED_AT: 1.8e9, "rate_rps": 3.0}})
PROFILES = "server_name,total_batches,success_count,error_count,rate_limit\na.example,1,5,0,3.5\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one server, all of whose rows are images."""
    folder = tmp_path_factory.mktemp("finished")
    run = Run(folder, [*(f"http://a.example/{number}.jpg" for number in range(12)), "nonsense"])
    assert not run.slice().unfinished
    layout = call(folder)
    identity, _ = load_identity(layout)
    assert identity is not None
    save_identity(layout, replace(identity, batches=batch_keys(run.settings, 12)))
    write_text(layout.servers_state_file, STATE)
    write_text(layout.retry_order_file, '{"number": 1, "kinds": ["dns"], "started_at": "", "is_finished": true}')
    write_text(layout.reset_file, '{"job": "1", "reset": "batched"}')
    write_text(layout.profiles_table, PROFILES)
    for server in "ab":
        OrderFile(layout.orders_file).append(ServerOrder("pause", f"{server}.example"))
    call(folder)
    return folder


def settings_of(folder: Path, **given: Any) -> Settings:
    values = {
        "path_to_input": str(folder / "list.txt"),
        "path_to_output": folder / "out",
        "stages": ["partition", "download"],
        "politeness": {"contact": "me@example.org"},
    }
    return Settings.from_config({**values, **given})


def call(folder: Path, **given: Any) -> RunLayout:
    """The same command once more: nothing is left to download, so Ray does not start."""
    settings = settings_of(folder, **given)
    assert pipeline.run(settings) == ExitCode.SETTLED
    return RunLayout.of(settings)


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 3)


@pytest.mark.parametrize("damage", [thorough(empty), truncate, thorough(garbage)])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_and_made_anew(
    folder: Path, name: str, damage: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "out" / name
    tables = {table: table.read_bytes() for table in (folder / "out" / "urls").glob("[!r]*.parquet")}
    tables[folder / "out" / PAGES] = (folder / "out" / PAGES).read_bytes()
    damage(path)
    capsys.readouterr()
    layout = call(folder)
    said = [line for line in capsys.readouterr().err.splitlines() if "is damaged" in line]
    if name == "schedules/orders.jsonl" and damage is empty:
        assert not said, "an empty file is a run without orders"
    else:
        assert len(said) == 1 and str(path) in said[0]
    summary = json.loads(layout.summary_file.read_text("utf-8"))
    assert summary["rows"] == {"input": 13, "rejected": 1, "successes": 12, "errors": 0}
    assert {table: table.read_bytes() for table in tables} == tables, "the same tables as before"
    assert json.loads((layout.root / "run.json").read_text("utf-8"))["list"]["rows"] == 13
    capsys.readouterr()
    call(folder)
    repeated = [line for line in capsys.readouterr().err.splitlines() if "is damaged" in line]
    assert not repeated or name.endswith("orders.jsonl")


@pytest.mark.parametrize("damage", [empty, truncate, garbage])
def test_status_reads_what_there_is(folder: Path, damage: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("logs/progress.json", "summary.json"):
        damage(folder / "out" / name)
    assert status.main([str(folder / "out")]) == ExitCode.SETTLED
    damage(folder / "out" / "settings.json")
    assert status.main([str(folder / "out")]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "settings.json" in said


def test_the_orders_before_and_after_a_damaged_line_apply(folder: Path) -> None:
    path = folder / "out" / "schedules" / "orders.jsonl"
    lines = ['{"action": "rate", "server": "a.example", "value": "x"}', '{"action": "dance", "server": "a.example"}',
             '{"action": "pause", "server": null}', "[]", "7", '{"action": "rate", "server": "a.example", "value": -1}',
             '{"action": "rate", "server": "a.example", "value": NaN}', '{"action": "ban", "ser']  # fmt: skip
    path.write_text("\n".join(lines))
    OrderFile(path).append(ServerOrder("ban", "a.example"))
    assert OrderFile(path).new() == [ServerOrder("ban", "a.example")], "not swallowed by the torn line before it"
    path.write_bytes(b"\xff\xfe\n" + path.read_bytes())
    assert OrderFile(path).new() == [ServerOrder("ban", "a.example")]


@pytest.mark.parametrize("state", ["7", "{}", '{"rate_rps": 2}', '{"saved_at_unix_s": "x"}', '{"saved_at_unix_s": 1}'])
def test_a_state_that_is_damaged_is_learned_again(folder: Path, state: str) -> None:
    settings = settings_of(folder)
    layout = RunLayout.of(settings)
    layout.servers_state_file.write_text(f'{{"a.example": {state}}}')
    policies = PolicyBook(settings.politeness, settings.downloader_parameters, {})
    budgets = Budgets(policies, load_server_states(layout))
    (lease,) = budgets.lease([LeaseRequest("a.example", "holder", wanted=1)]).leases
    assert lease.permits


def test_tables_of_urls_are_not_made_anew_from_another_list_or_an_extended_one(folder: Path) -> None:
    garbage(folder / "out" / PAGES)
    given = (folder / "list.txt").read_text()
    (folder / "list.txt").write_text(given + "http://a.example/new.jpg\n")
    with pytest.raises(RunFolderError, match=r"rows-00000\.parquet is damaged .* only from the list as it was"):
        call(folder)
    (folder / "out" / "urls" / "batches.parquet").unlink()
    with pytest.raises(RunFolderError, match=r"batches\.parquet is missing"):
        call(folder)
    (folder / "list.txt").write_text(given)
    call(folder)
    (folder / "list.txt").write_text(given + "http://a.example/new.jpg\n")
    pipeline.run(settings_of(folder, list="extend", stages=["partition"]))
    garbage(folder / "out" / PAGES)
    with pytest.raises(RunFolderError, match="never extended"):
        call(folder)


def test_a_damaged_page_is_found_when_it_is_read_and_the_next_call_makes_its_file_anew(folder: Path) -> None:
    layout = RunLayout.of(settings_of(folder))
    path = folder / "out" / PAGES
    content = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(0)
    first = column.dictionary_page_offset or column.data_page_offset
    content[first + column.total_compressed_size - 1] ^= 0x20  # the end of a page: checksums leave out its header
    path.write_bytes(content)
    (batch,) = load_batches(layout)
    with pytest.raises(DamagedFileError, match=r"rows-00000\.parquet is damaged"):
        read_batch(layout, batch)
    for marker in layout.images.rglob("_completed"):
        marker.unlink()  # so that the rows are read
    with pytest.raises(DamagedFileError) as failure:
        call(folder)
    assert failure.value.exit_code is ExitCode.FAILED
    assert not path.exists()
    with pytest.raises(BaseException, match="must not use the network or start Ray"):
        call(folder)  # everything is in order again, and the batch is to be published
    assert path.exists()


def test_an_earlier_copy_of_the_tables_of_urls_is_no_silent_loss_of_rows(folder: Path) -> None:
    urls = folder / "out" / "urls"
    shutil.copytree(urls, folder / "copy")
    given = (folder / "list.txt").read_text()
    (folder / "list.txt").write_text(given + "http://a.example/new.jpg\n")
    pipeline.run(settings_of(folder, list="extend", stages=["partition"]))
    now = folder / "out" / "newer"
    urls.rename(now)
    shutil.copytree(folder / "copy", urls)
    with pytest.raises(RunFolderError, match=r"batches\.parquet has 12 rows, and the run 13: restore"):
        call(folder)
    shutil.rmtree(urls)
    now.rename(urls)
    assert pipeline.run(settings_of(folder, stages=["partition"])) is ExitCode.SETTLED


def test_a_list_that_the_system_refuses_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "list.txt"

    def refuse(self: Path, *given: Any, **options: Any) -> Any:
        if self == path:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return opened(self, *given, **options)

    opened = Path.open
    path.touch()
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"list\.txt cannot be read: Permission denied") as failure:
        call(folder)
    assert failure.value.exit_code is ExitCode.USAGE


def a_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


READERS: list[tuple[Callable[[list[str]], int], list[str]]] = [
    (status.main, []), (status.main, ["--server", "a.example"]), (report.main, []),
    (control.main, ["list"]), (control.main, ["pause", "a.example"]),
]  # fmt: skip


@pytest.mark.parametrize("damage", [a_folder, garbage])
@pytest.mark.parametrize("name", [*FILES, "ignored.csv"])
def test_those_who_only_read_the_folder_say_one_sentence_or_do_without(
    finished: Path, tmp_path: Path, name: str, damage: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished / "out", tmp_path / "out")
    damage(tmp_path / "out" / name)
    for main, arguments in READERS:
        code = main([str(tmp_path / "out"), *arguments])
        said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ray_downloader")]
        assert len(said) == (1 if code else 0), said
        assert not said or str(tmp_path / "out") in said[0]
