"""Orders to a running job take effect within five seconds, seen at the origin."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import Commands
from tests.support.job import ENVIRONMENT, RunFolder, as_override, command
from tests.support.running import RunningOrigin

pytestmark = [pytest.mark.ray]

EFFECT_S = 5.0


def wait_until(condition: Callable[[], bool], timeout_s: float) -> None:
    until_s = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < until_s:
        time.sleep(0.1)


@pytest.mark.thorough
def test_a_running_job_obeys_orders(tmp_path: Path, origin: RunningOrigin, commands: Commands) -> None:
    hosts = ("pause.example", "ban.example", "rate.example")
    rows = 160
    urls = [f"http://{host}/photo/{n}.jpg" for host in hosts for n in range(rows)]
    (tmp_path / "list.txt").write_text("\n".join(urls) + "\n", "utf-8")
    out = RunFolder(tmp_path / "out")
    arguments = (
        "path_to_input=list.txt", f"path_to_output={out.root}",
        "stages=[partition,download]", "politeness.robots=ignore",
        "downloader_parameters.default_rate_limit=10", "downloader_parameters.rate_multiplier=0",
        as_override("network.connect_to", origin.connect_to),
    )  # fmt: skip

    def order(*words: str) -> None:
        assert commands.run("ray_downloader.control", [str(out.root), *words], tmp_path).returncode == 0

    def asked(host: str) -> int:
        return len(origin.files_seen(host))

    with subprocess.Popen(command(*arguments), cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: all(asked(host) for host in hosts), 120)
        order("pause", "pause.example")
        order("ban", "ban.example")
        order("rate", "rate.example", "2")
        time.sleep(EFFECT_S)
        before = {host: asked(host) for host in hosts}
        time.sleep(3.0)
        after = {host: asked(host) for host in hosts}
        assert after["pause.example"] == before["pause.example"] < rows
        assert after["ban.example"] == before["ban.example"] < rows
        assert 3 <= after["rate.example"] - before["rate.example"] <= 9
        order("resume", "pause.example")
        order("rate", "rate.example", "100")
        # A busy machine sends fewer than the ten a second that are allowed.
        wait_until(lambda: asked("pause.example") - after["pause.example"] > 10, EFFECT_S + 20)
        assert asked("pause.example") - after["pause.example"] > 10
        order("rate", "pause.example", "100")
        assert process.wait(timeout=120) == 0
    fetched = after["ban.example"]
    assert asked("ban.example") == fetched
    assert out.summary["errors_by_kind"] == {"ignored_server": rows - fetched}
    assert out.summary["rows"]["successes"] == 2 * rows + fetched


@pytest.mark.xdist_group("commands")
@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (("rate", "a.example"), "needs a value"),
        (("pause", "a.example", "3"), "takes no value"),
        (("stop", "a"), "resume"),
    ],
)
def test_a_wrong_order_gets_a_sentence(
    tmp_path: Path, commands: Commands, order: tuple[str, ...], sentence: str
) -> None:
    done = commands.run("ray_downloader.control", [str(tmp_path), *order], tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr


@pytest.mark.xdist_group("commands")
def test_a_folder_without_a_run_gets_a_sentence(tmp_path: Path, commands: Commands) -> None:
    done = commands.run("ray_downloader.control", [str(tmp_path), "pause", "a.example"], tmp_path)
    assert done.returncode == 2
    assert "settings.json does not exist" in done.stderr
