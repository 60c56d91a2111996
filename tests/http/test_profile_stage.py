"""The whole stage in one rank, over real loopback servers."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.profile import probe, run_profile
from ray_downloader.profile.estimate import ServerProfile
from ray_downloader.profile.table import append_part, load_profiled_rates, load_rows, row_of
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.worker.robots_store import KeptAnswer, RobotsStore
from tests.support.log import excess_over_budget
from tests.support.options import HostLimit, OriginOptions
from tests.support.partitioned import partitioned_run
from tests.support.running import RunningOrigin, running_origin

ROWS = 20
OPTIONS = OriginOptions(limits={"limited.example": HostLimit(rate_rps=0.1, burst=1, retry_after_s=5.0)})


@pytest.fixture(scope="module")
def origin() -> Iterator[RunningOrigin]:
    with running_origin(OPTIONS) as running:
        yield running


def rows_of(host: str, path: str = "") -> list[str]:
    return [f"http://{host}{path}/{number}.jpg" for number in range(ROWS)]


def run_folder(folder: Path, origin: RunningOrigin, urls: list[str], **groups: Any) -> tuple[Settings, RunLayout]:
    defaults: dict[str, Any] = {
        "network": {"connect_to": origin.connect_to},
        "profile": {"launcher": "inline", "max_seconds": 2.0},
        "downloader_parameters": {"default_rate_limit": 20.0},
    }
    return partitioned_run(folder, urls, **(defaults | groups))


def test_each_server_gets_a_line_and_only_reachable_ones_a_rate(origin: RunningOrigin, tmp_path: Path) -> None:
    hosts = {"good.example": "", "limited.example": "", "hanging.example": "/hang", "resetting.example": "/reset"}
    urls = [url for host, path in hosts.items() for url in rows_of(host, path)] + ["http://tiny.example/1.jpg"]
    settings, layout = run_folder(tmp_path, origin, urls)
    run_profile(settings, layout)
    lines = load_rows(layout)
    assert set(lines) == {*hosts, "tiny.example"}
    rates = load_profiled_rates(layout)
    assert set(rates) == {"good.example", "limited.example"}
    assert rates["limited.example"] == 10.0  # half the pace of the probe
    assert lines["tiny.example"]["rate_limit"] == "20"  # shown, and no rate of its own
    assert lines["hanging.example"]["note"].startswith("stopped")
    assert lines["good.example"]["statuses"] == "200:5"
    assert origin.seen("tiny.example") == []


def test_a_probe_stays_within_the_budget_of_its_server(origin: RunningOrigin, tmp_path: Path) -> None:
    settings, layout = run_folder(tmp_path, origin, [*rows_of("one.example"), *rows_of("two.example")])
    run_profile(settings, layout)
    for host in ("one.example", "two.example"):
        seen = origin.seen(host)
        assert len(seen) == 6  # robots.txt and five samples
        assert excess_over_budget(seen, rate_rps=20.0 * 1.1, burst=2) <= 0  # the origin's clock starts late at times
        kept = RobotsStore(layout.robots, time.time()).find("robots.txt", host)
        assert kept == KeptAnswer(404, ""), "the download does not ask again"


def test_servers_that_share_a_budget_share_its_pace(origin: RunningOrigin, tmp_path: Path) -> None:
    rules = [{"server": "*.shared.example", "group": "shared", "rate_rps": 20.0}]
    urls = [*rows_of("a.shared.example"), *rows_of("b.shared.example")]
    settings, layout = run_folder(tmp_path, origin, urls, politeness={"rules": rules})
    run_profile(settings, layout)
    assert excess_over_budget(origin.seen(), rate_rps=20.0 * 1.1, burst=2) <= 0
    assert len(load_profiled_rates(layout)) == 2


def test_a_second_run_probes_only_what_is_missing(origin: RunningOrigin, tmp_path: Path) -> None:
    settings, layout = run_folder(tmp_path, origin, [*rows_of("one.example"), *rows_of("two.example")])
    run_profile(settings, layout)
    kept = layout.profiles_table.read_text("utf-8").splitlines()
    layout.profiles_table.write_text("\n".join(line for line in kept if not line.startswith("two.")) + "\n")
    origin.forget()
    run_profile(settings, layout)
    assert {entry.host for entry in origin.seen()} == {"two.example"}
    assert kept[1] in layout.profiles_table.read_text("utf-8").splitlines()


def test_what_a_killed_world_had_finished_is_not_probed_again(origin: RunningOrigin, tmp_path: Path) -> None:
    settings, layout = run_folder(tmp_path, origin, [*rows_of("one.example"), *rows_of("two.example")])
    append_part(layout, 3, row_of(ServerProfile("one.example", 1, rate_limit=7.0)))
    run_profile(settings, layout)
    assert {entry.host for entry in origin.seen()} == {"two.example"}
    assert load_profiled_rates(layout)["one.example"] == 7.0


def test_ignored_servers_are_not_asked_and_get_no_line(origin: RunningOrigin, tmp_path: Path) -> None:
    settings, layout = run_folder(tmp_path, origin, [*rows_of("one.example"), *rows_of("two.example")])
    layout.ignored_table.write_text("server_name\none.example\n")
    run_profile(settings, layout)
    assert {entry.host for entry in origin.seen()} == {"two.example"}
    assert set(load_rows(layout)) == {"two.example"}


def test_a_bug_in_one_probe_is_a_note_and_costs_no_other_server(
    origin: RunningOrigin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, layout = run_folder(tmp_path, origin, [*rows_of("one.example"), *rows_of("two.example")])

    def probe_server(urls: list[str], *rest: Any) -> Any:
        if "one.example" in urls[0]:
            raise RuntimeError("a bug")
        return probe.probe_server(urls, *rest)

    monkeypatch.setattr("ray_downloader.profile.probes.probe_server", probe_server)
    run_profile(settings, layout)
    assert "a bug" in load_rows(layout)["one.example"]["note"]
    assert set(load_profiled_rates(layout)) == {"two.example"}


def test_the_others_of_a_budget_are_left_alone_when_one_is_told_to_wait(origin: RunningOrigin, tmp_path: Path) -> None:
    group = {"server": "*limited.example", "group": "limited"}
    urls = [*rows_of("limited.example"), *rows_of("z-limited.example")]
    settings, layout = run_folder(tmp_path, origin, urls, politeness={"rules": [group]})
    run_profile(settings, layout)
    lines = load_rows(layout)
    assert lines["limited.example"]["retry_after_s"] == "5"
    assert float(lines["limited.example"]["retry_at_unix_s"]) > time.time()
    assert lines["z-limited.example"]["note"] == "not probed: its budget has to wait"
    assert origin.seen("z-limited.example") == []
