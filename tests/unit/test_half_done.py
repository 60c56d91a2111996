"""A run is killed in the middle, then a file of its folder is damaged: the same command settles every row once."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ray_downloader import image, pipeline
from ray_downloader.cluster import stage
from ray_downloader.cluster.driver import DownloadResult
from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode, UserError
from ray_downloader.fetch.base import FetchRequest
from ray_downloader.fetch.fake import FakeClock, FakeFetcher, Reply
from ray_downloader.output import time_left
from ray_downloader.partition.batches import load_batches
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.instants import SAVED_AT
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.orders import OrderFile, ServerOrder
from ray_downloader.schedule.run_status import scan
from ray_downloader.worker.batch_work import BatchOptions, BatchWork
from ray_downloader.worker.budgets import Budgets
from ray_downloader.worker.loop import Worker
from ray_downloader.worker.ports import Ports, TimeSlice
from ray_downloader.worker.request_policy import RequestPolicy
from ray_downloader.worker.robots_gate import RobotsGate
from ray_downloader.worker.robots_store import RobotsStore
from tests.support.kills import Killed
from tests.support.local_budgets import LocalBudgets
from tests.unit.worker.worker_run import found

pytestmark = pytest.mark.stage

#: Rows by server: the first is finished when the run is killed, the second is under way.
ROWS = {"quick.example": 20, "slow.example": 30}
PROFILES = "server_name,total_batches,success_count,error_count,rate_limit\nquick.example,2,5,0,50.0\n"


class Site:
    """Both servers; every tenth row is not found. With `kill_after`, this process dies at that request."""

    def __init__(self, task: str, kill_after: int | None = None) -> None:
        self.asked: Counter[str] = Counter()
        self._task = task
        self._kill_after = kill_after

    def __call__(self, request: FetchRequest) -> Reply:
        if self.asked.total() == self._kill_after:
            raise Killed
        self.asked[request.url] += 1
        if request.url.endswith("7.jpg") or "robots" in request.url:
            return Reply(status=404)
        return found(request)

    def download(self, settings: Settings, layout: RunLayout, *_ports: object) -> DownloadResult:
        """The download stage as one worker in virtual time, instead of Ray."""
        status = scan(layout, load_batches(layout))
        for problem in status.problems:
            stage._log.warning("%s; what it has lost is fetched again", problem)
        clock, options = FakeClock(), image.ImageOptions.of(settings)

        def process(body: bytes, is_complete: bool, is_suspect: bool) -> image.ProcessedImage:
            return image.process(body, options, complete=is_complete, isolated=is_suspect)

        policies = PolicyBook(settings.politeness, settings.downloader_parameters, {})
        budgets = LocalBudgets(Budgets(policies, clock=clock, rng=random.Random(1)))
        ports = Ports(FakeFetcher(self, clock), budgets, process, clock, lambda: 1.8e9 + clock(), random.Random(2))
        batches = [BatchWork(layout, item, self._task, BatchOptions()) for item in status.work]
        robots = RobotsGate(settings.politeness.robots, RobotsStore(layout.robots, 1.8e9))
        policy = RequestPolicy(settings, policies, ())
        assert not Worker(batches, policy, robots, ports, TimeSlice(self._task, 3600.0)).run().unfinished
        return DownloadResult(seconds=clock())


def settings_of(folder: Path) -> Settings:
    return Settings.from_config(
        {
            "path_to_input": str(folder / "list.txt"), "path_to_output": folder / "out",
            "stages": ["partition", "download"],
            "downloader_parameters": {"pool_below": 10, "batch_size": 10},
            "politeness": {"contact": "me@example.org", "max_rate_limit": 50.0, "max_connections": 1},
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was killed after 40 requests."""
    folder = tmp_path_factory.mktemp("killed")
    urls = [f"http://{server}/{number}.jpg" for server, rows in ROWS.items() for number in range(rows)]
    (folder / "list.txt").write_text("\n".join([*urls, "nonsense"]) + "\n", "utf-8")
    layout = RunLayout.of(settings_of(folder))
    layout.root.mkdir()
    write_text(layout.profiles_table, PROFILES)
    write_text(layout.servers_state_file, json.dumps({"slow.example": {SAVED_AT: 1.8e9, "rate_rps": 3.0}}))
    OrderFile(layout.orders_file).append(ServerOrder("rate", "slow.example", 3.0))
    with pytest.MonkeyPatch.context() as patched, pytest.raises(Killed):
        patched.setattr(stage, "download", Site("killed", kill_after=40).download)
        pipeline.run(settings_of(folder))
    return folder


#: Rows that were asked for when the run was killed, and were not in a journal.
IN_FLIGHT = 2
FINISHED, UNDER_WAY = (
    "images/server_name=quick.example/partition_id=0",
    "images/server_name=quick.example/partition_id=1",
)
#: The files of a run that is under way, and the rows that the loss of one may cost (they are asked for again).
FILES = {
    "settings.json": 0,
    "run.json": 0,
    "checkpoint.json": 0,
    "profiles.csv": 0,
    "logs/progress.json": 0,
    "schedules/servers.json": 0,
    "schedules/orders.jsonl": 0,
    "schedules/robots/20833-40.log": 0,
    "urls/batches.parquet": 0,
    "urls/servers.parquet": 0,
    "urls/rejected.parquet": 0,
    "urls/partition.json": 0,
    "urls/rows-00000.parquet": 0,
    f"{FINISHED}/_completed": 0,
    f"{FINISHED}/successes.parquet": 9,
    f"{FINISHED}/errors.parquet": 1,
    f"{UNDER_WAY}/_in_hand.json": 0,
    f"{UNDER_WAY}/_under_decode": 0,
    f"{UNDER_WAY}/successes-killed.arrows": 8,
    f"{UNDER_WAY}/errors-killed.arrows": 1,
}


#: Whole folders, likewise.
FOLDERS = {"urls": 0, "schedules": 0, "logs": 0, FINISHED: 10, UNDER_WAY: 9, "images": 39}


def missing(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def flipped(path: Path) -> None:
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def a_folder(path: Path) -> None:
    """Something else has the name."""
    path.unlink()
    path.mkdir()
    (path / "something").touch()


def deep(path: Path) -> None:
    """Nested too deeply for a parser that recurses."""
    path.write_bytes(b"[" * 100_000)


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 3)


CASES = [
    *((name, damage) for name in FILES for damage in (missing, flipped)),
    *((name, missing) for name in FOLDERS),
    *((name, a_folder) for name in (f"{FINISHED}/_completed", f"{UNDER_WAY}/successes-killed.arrows")),
    *((name, deep) for name in ("run.json", f"{FINISHED}/_completed")),
]
#: Readers that notice one other bit notice half a file, and one that has nothing, or nothing of its own, too.
MORE_CASES = [(name, damage) for name in FILES for damage in (truncated, empty, garbage, deep, a_folder)]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *(pytest.param(name, damage, id=f"{name} {damage.__name__}") for name, damage in CASES),
        *(
            pytest.param(name, damage, id=f"{name} {damage.__name__}", marks=pytest.mark.thorough)
            for name, damage in MORE_CASES
        ),
    ],
)
def test_a_run_that_is_half_done_survives_the_damage_of_any_file(
    killed: Path, tmp_path: Path, name: str, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = tmp_path / "run"
    shutil.copytree(killed, folder)
    path = folder / "out" / name
    damage(path)
    site, settings = Site("after"), settings_of(folder)
    monkeypatch.setattr(stage, "download", site.download)
    monkeypatch.setattr(pipeline, "report_at_the_end", lambda *_, **__: None)
    capsys.readouterr()
    try:
        assert pipeline.run(settings) is ExitCode.SETTLED
    except UserError as error:
        said = str(error)
        assert path.name in said and "\n" not in said, said
        assert error.exit_code in {ExitCode.FAILED, ExitCode.STOPPED}
        assert pipeline.run(settings) is ExitCode.SETTLED, "the next call continues"
    words = capsys.readouterr().err
    assert "Traceback" not in words
    assert words.count("is damaged") <= 1
    rows = sum(ROWS.values())
    counted: dict[str, Any] = json.loads((folder / "out" / "summary.json").read_text("utf-8"))["rows"]
    assert counted == {"input": rows + 1, "rejected": 1, "successes": rows - 5, "errors": 5}
    settled = Counter(uuid for table in ("successes", "errors") for uuid in stored(folder / "out", table))
    assert len(settled) == rows and set(settled.values()) == {1}
    pictures = {hashlib.md5(picture).hexdigest() for picture in stored(folder / "out", "successes", "image")}
    assert pictures == set(stored(folder / "out", "successes", "hashsum_resized"))
    assert len(pictures) == 1
    again = sum(count for url, count in site.asked.items() if "robots" not in url) - (rows - 40)
    assert again <= IN_FLIGHT + {**FILES, **FOLDERS}[name], f"{again} rows were asked for again"


def stored(out: Path, table: str, column: str = "uuid") -> list[Any]:
    files = sorted(out.glob(f"images/*/*/{table}.parquet"))
    return [value for file in files for value in pq.read_table(file, columns=[column])[column].to_pylist()]


@pytest.mark.parametrize(("most", "is_described"), [(0, False), (1000, True)], ids=["long", "short"])
def test_a_very_long_run_that_is_stopped_is_not_read_once_more_before_its_time_is_over(
    killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, is_described: bool
) -> None:
    """What 20,000 batches say of licences and datasets takes minutes to count, and Slurm leaves a job 90 s."""
    folder = tmp_path / "run"
    shutil.copytree(killed, folder)
    descriptions = [folder / "out" / name for name in ("images/croissant.json", "report.html")]
    for path in descriptions:
        path.unlink(missing_ok=True)
    monkeypatch.setattr(stage, "download", lambda *_: DownloadResult(is_stopped=True))
    monkeypatch.setattr(time_left, "MOST_BATCHES_OF_A_STOPPED_RUN", most)
    assert pipeline.run(settings_of(folder)) is ExitCode.STOPPED
    assert (folder / "out" / "summary.json").exists()
    described = [path.exists() for path in descriptions]
    assert described == [is_described] * 2
