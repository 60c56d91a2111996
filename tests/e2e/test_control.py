"""Orders to a running job take effect within five seconds, seen at the origin."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.job import ENVIRONMENT, RunFolder, as_override, command
from tests.support.running import RunningOrigin

pytestmark = [pytest.mark.ray, pytest.mark.slow]

EFFECT_S = 5.0


def give_order(out: Path, *order: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ray_downloader.control", str(out), *order],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def asked_within(origin: RunningOrigin, host: str, seconds: float) -> int:
    before = len(origin.seen(host))
    time.sleep(seconds)
    return len(origin.seen(host)) - before


def test_a_running_job_obeys_orders(tmp_path: Path, origin: RunningOrigin) -> None:
    hosts = ("pause.example", "ban.example", "rate.example")
    urls = [f"http://{host}/photo/{n}.jpg" for host in hosts for n in range(400)]
    (tmp_path / "list.txt").write_text("\n".join(urls) + "\n", "utf-8")
    out = RunFolder(tmp_path / "out")
    arguments = (
        "path_to_input=list.txt", f"path_to_output={out.root}",
        "stages=[partition,download]", "politeness.robots=ignore",
        "downloader_parameters.default_rate_limit=10", "downloader_parameters.rate_multiplier=0",
        as_override("network.connect_to", origin.connect_to),
    )  # fmt: skip
    with subprocess.Popen(command(*arguments), cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while not all(origin.seen(host) for host in hosts) and time.monotonic() < until:
            time.sleep(0.1)
        for order in (("pause", "pause.example"), ("ban", "ban.example"), ("rate", "rate.example", "2")):
            assert give_order(out.root, *order).returncode == 0
        time.sleep(EFFECT_S)
        asked = len(origin.seen("ban.example"))
        rate_before = len(origin.seen("rate.example"))
        assert asked_within(origin, "pause.example", 4.0) == 0
        assert len(origin.seen("ban.example")) == asked < 400
        assert 4 <= len(origin.seen("rate.example")) - rate_before <= 11
        assert give_order(out.root, "resume", "pause.example").returncode == 0
        assert give_order(out.root, "rate", "rate.example", "100").returncode == 0
        time.sleep(EFFECT_S)
        resumed = len(origin.seen("pause.example"))
        until = time.monotonic() + 20  # a busy machine sends fewer than the ten a second that are allowed
        while len(origin.seen("pause.example")) - resumed <= 10 and time.monotonic() < until:
            time.sleep(0.1)
        assert len(origin.seen("pause.example")) - resumed > 10
        assert process.wait(timeout=120) == 0
    assert out.summary["errors_by_kind"] == {"ignored_server": 400 - asked}
    assert out.summary["rows"]["successes"] == 800 + asked


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (("rate", "a.example"), "needs a value"),
        (("pause", "a.example", "3"), "takes no value"),
        (("stop", "a"), "resume"),
    ],
)
def test_a_wrong_order_gets_a_sentence(tmp_path: Path, order: tuple[str, ...], sentence: str) -> None:
    done = give_order(tmp_path, *order)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_a_folder_without_a_run_gets_a_sentence(tmp_path: Path) -> None:
    done = give_order(tmp_path, "pause", "a.example")
    assert done.returncode == 2
    assert "settings.json does not exist" in done.stderr
