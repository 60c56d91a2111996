"""The figures of a run add up, and speed is that of the last minute."""

from __future__ import annotations

from collections import Counter

from ray_downloader.monitor.figures import RowsLeft, RunFigures
from ray_downloader.monitor.waiting import Waiting
from ray_downloader.output.batch_folder import SUCCESS
from ray_downloader.partition import PartitionSummary
from ray_downloader.politeness.messages import WaitReason
from ray_downloader.worker.progress import Progress

PARTITION = PartitionSummary(
    input_rows=1000, accepted_rows=990, rejected_by_reason={"bad_url": 10}, servers=3, batches=3
)

NOW = 1.8e9


def figures(rows: dict[str, int] | None = None) -> RunFigures:
    left = RowsLeft(rows or {}, lambda server: "group" if server.startswith("g") else server)
    return RunFigures(PARTITION, {SUCCESS: 100, "http_4xx": 5}, left)


def images(count: int, server: str = "a") -> Progress:
    return Progress(Counter({(server, ""): count, (server, "timeout"): 2}))


def test_rows_of_this_run_are_added_to_those_of_before() -> None:
    found = figures().of(images(50), {}, 0.0, NOW)
    assert found["rows"] == {"input": 1000, "rejected": 10, "successes": 150, "errors": 7, "left": 833}
    assert found["errors_by_kind"] == {"http_4xx": 5, "timeout": 2}
    assert (found["images_per_s"], found["eta_s"]) == (0.0, None)


def test_speed_is_that_of_the_last_minute() -> None:
    watched = figures()
    for second in range(0, 120, 2):
        watched.of(images(10 * second), {}, float(second), NOW)
    for second in range(120, 200, 2):
        found = watched.of(images(1200), {}, float(second), NOW)
    assert found["images_per_s"] == 0.0
    assert found["eta_s"] is None


def test_the_time_left_follows_from_rows_and_speed() -> None:
    watched = figures()
    watched.of(images(0), {}, 0.0, NOW)
    found = watched.of(images(100), {}, 10.0, NOW)
    assert found["images_per_s"] == 10.0
    assert found["eta_s"] == round(783 / 10)


def test_who_waits_is_listed_with_the_rows_left_of_its_budget() -> None:
    waiting = {
        "group": Waiting(WaitReason.BACKOFF, 1.8e9),
        "b": Waiting(WaitReason.PAUSED_BY_OPERATOR),
        "done": Waiting(WaitReason.BACKOFF, 1.8e9),
    }
    found = figures({"g1": 30, "g2": 30, "b": 5}).of(images(18, "g1"), waiting, 0.0, NOW)
    assert found["waiting"] == [
        {"server": "group", "rows": 40, "reason": "backoff", "until": "2027-01-15T08:00:00+00:00"},
        {"server": "b", "rows": 5, "reason": "paused_by_operator", "until": None},
    ]


def test_a_run_takes_at_least_until_the_last_server_may_be_asked_again() -> None:
    watched = figures({"b": 5})
    watched.of(images(0), {}, 0.0, NOW)
    found = watched.of(images(880), {"b": Waiting(WaitReason.RETRY_AFTER, NOW + 600)}, 10.0, NOW)
    assert found["eta_s"] == 600


def test_a_paused_host_of_a_group_has_rows_of_its_own() -> None:
    found = figures({"g1": 30, "g2": 30}).of(images(18, "g1"), {"g1": Waiting(WaitReason.PAUSED_BY_OPERATOR)}, 0.0, NOW)
    assert [wait["rows"] for wait in found["waiting"]] == [10]
