"""The figures of a run add up, and speed is that of the last minute."""

from __future__ import annotations

from collections import Counter

import pytest

from ray_downloader.monitor.figures import Moment, RowsLeft, RunEta, RunFigures
from ray_downloader.monitor.waiting import Waiting
from ray_downloader.output.batch_folder import SUCCESS
from ray_downloader.partition import PartitionSummary
from ray_downloader.politeness.messages import WaitReason
from ray_downloader.politeness.policy import ServerPolicy
from ray_downloader.run_folder.packed_states import LearnedFacts
from ray_downloader.worker.progress import Progress

PARTITION = PartitionSummary(
    input_rows=1000, accepted_rows=990, rejected_by_reason={"bad_url": 10}, servers=3, batches=3
)

NOW = 1.8e9


def figures(rows: dict[str, int] | None = None) -> RunFigures:
    left = RowsLeft(rows or {}, lambda server: "group" if server.startswith("g") else server)
    eta = RunEta(left, lambda _: ServerPolicy(start_rate_rps=2.0, ceiling_rps=3.0, patience_s=900.0), 450.0, 0.0)
    return RunFigures(PARTITION, {SUCCESS: 100, "http_4xx": 5}, left, eta)


def images(count: int, server: str = "a") -> Progress:
    return Progress(Counter({(server, ""): count, (server, "timeout"): 2}))


def test_rows_of_this_run_are_added_to_those_of_before() -> None:
    found = figures().of(images(50), Moment(0.0, NOW))
    assert found["rows"] == {"input": 1000, "rejected": 10, "successes": 150, "errors": 7, "left": 833}
    assert found["errors_by_kind"] == {"http_4xx": 5, "timeout": 2}
    assert (found["images_per_s"], found["eta_s"]) == (0.0, None)


def test_speed_is_that_of_the_last_minute() -> None:
    watched = figures()
    for second in range(0, 120, 2):
        watched.of(images(10 * second), Moment(float(second), NOW))
    for second in range(120, 200, 2):
        found = watched.of(images(1200), Moment(float(second), NOW))
    assert found["images_per_s"] == 0.0


def test_the_slowest_budget_decides_and_the_servers_of_a_group_are_one() -> None:
    found = figures({"g1": 100, "g2": 100, "b": 30}).of(images(0), Moment(0.0, NOW))
    assert found["eta_s"] == 100
    assert [(one["server"], one["rows"], one["eta_s"]) for one in found["slowest"]] == [
        ("group", 200, 100),
        ("b", 30, 15),
    ]


def test_a_measured_rate_takes_the_place_of_the_expected_one() -> None:
    watched = figures({"a": 1000})
    for second in range(2, 62, 2):
        found = watched.of(images(5 * second), Moment(float(second), NOW))
    assert found["eta_s"] == pytest.approx((1000 - 5 * 60 - 2) / 5, rel=0.1)


def test_the_whole_takes_at_least_as_long_as_the_cluster_needs() -> None:
    many = {f"s{number}": 100 for number in range(2000)}
    assert figures(many).of(Progress(), Moment(0.0, NOW))["eta_s"] == round(200_000 / 450)


def test_a_server_that_never_answered_costs_its_patience_after_all_others() -> None:
    trouble = {"b": LearnedFacts(condition="unreachable")}
    watched = figures({"a": 20, "b": 10_000})
    assert watched.of(Progress(), Moment(0.0, NOW, learned=trouble))["eta_s"] == 10 + 120
    watched.of(images(18), Moment(10.0, NOW, learned=trouble))
    assert watched.of(images(18), Moment(40.0, NOW, learned=trouble, is_idle=True))["eta_s"] == 90


def test_who_waits_is_listed_with_the_rows_left_of_its_budget() -> None:
    waiting = {
        "group": Waiting(WaitReason.BACKOFF, 1.8e9),
        "b": Waiting(WaitReason.PAUSED_BY_OPERATOR),
        "done": Waiting(WaitReason.BACKOFF, 1.8e9),
    }
    found = figures({"g1": 30, "g2": 30, "b": 5}).of(images(18, "g1"), Moment(0.0, NOW, waiting))
    assert found["waiting"] == [
        {"server": "group", "rows": 40, "reason": "backoff", "until": "2027-01-15T08:00:00+00:00"},
        {"server": "b", "rows": 5, "reason": "paused_by_operator", "until": None},
    ]


def test_a_run_takes_at_least_until_the_last_server_may_be_asked_again() -> None:
    watched = figures({"b": 5})
    watched.of(images(0), Moment(0.0, NOW))
    found = watched.of(images(880), Moment(10.0, NOW, {"b": Waiting(WaitReason.RETRY_AFTER, NOW + 600)}))
    assert found["eta_s"] == 602


def test_a_paused_host_of_a_group_has_rows_of_its_own() -> None:
    found = figures({"g1": 30, "g2": 30}).of(
        images(18, "g1"), Moment(0.0, NOW, {"g1": Waiting(WaitReason.PAUSED_BY_OPERATOR)})
    )
    assert [wait["rows"] for wait in found["waiting"]] == [10]
