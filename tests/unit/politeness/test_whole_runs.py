"""Workers, budget and server together in virtual time: the bounds that a server would measure."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_downloader.politeness.policy import ServerPolicy
from ray_downloader.politeness.server.state import ServerState
from tests.support.thorough import thorough
from tests.unit.politeness.virtual_run import Server, SlidingWindow, TokenBucket, VirtualRun, widest_excess

pytestmark = pytest.mark.stage


@pytest.mark.parametrize("rows", [[600], [150] * 4, [60] * 10])
def test_a_fixed_budget_is_kept_and_used(rows: list[int]) -> None:
    run = VirtualRun(ServerPolicy(25.0, 25.0), TokenBucket(1e6, 1e6), rows)
    run.run(600.0)
    assert len(run.delivered) == sum(rows)
    assert widest_excess(run.arrivals_s, 25.0) <= 1.0
    assert sum(rows) / run.delivered[-1] >= 0.85 * 25.0


@settings(deadline=None, max_examples=15)
@given(
    rows=st.lists(st.integers(1, 120), min_size=1, max_size=5),
    policy=st.builds(
        lambda rate_rps, burst, connections: ServerPolicy(rate_rps, rate_rps, burst, connections),
        st.sampled_from([0.5, 3.0, 25.0, 200.0]),
        st.sampled_from([1, 1, 3, 10]),
        st.integers(1, 6),
    ),
    delay_s=st.sampled_from([0.0005, 0.01, 0.2]),
    seed=st.integers(0, 10**6),
)
def test_no_window_sees_more_than_the_budget_and_no_moment_more_than_the_connections(
    rows: list[int], policy: ServerPolicy, delay_s: float, seed: int
) -> None:
    rate_rps = policy.ceiling_rps or 0.0
    run = VirtualRun(policy, TokenBucket(rate_rps * 2, 5, ttfb_s=0.1), rows, seed, delay_s)
    run.run(300.0)
    assert widest_excess(run.arrivals_s, rate_rps) <= policy.burst + 1e-6
    assert run.most_in_flight <= policy.max_connections


LIMITS: dict[str, Callable[[], Server]] = {
    "a bucket of a few": lambda: TokenBucket(30.0, 5.0),
    "a bucket of a second": lambda: TokenBucket(30.0, 30.0),
    "a window of a second": lambda: SlidingWindow(30),
}


@pytest.mark.parametrize("tasks", [1, 2, 4])
@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_that_nobody_told_is_found_and_kept(limit: str, tasks: int) -> None:
    run = VirtualRun(ServerPolicy(10.0, 200.0), LIMITS[limit](), [1800 // tasks] * tasks)
    run.run(600.0)
    assert len(run.delivered) == 1800
    assert 1800 / run.delivered[-1] >= 0.85 * 30.0
    assert len(run.refused) <= 10 * 1.8


def test_a_rate_settles_after_its_first_incidents() -> None:
    run = VirtualRun(ServerPolicy(10.0, 200.0), TokenBucket(30.0, 10.0), [6000, 6000])
    run.run(400.0)
    late = [at_s for at_s in run.delivered if 100 <= at_s < 400]
    assert len(late) >= 0.9 * 30.0 * 300
    assert sum(at_s >= 100 for at_s in run.refused) <= 5 * len(late) / 1000


def test_a_server_that_refuses_everything_is_asked_next_to_nothing() -> None:
    run = VirtualRun(ServerPolicy(10.0, 200.0), TokenBucket(0.0, 0.0, retry_after_s=None), [500, 500])
    run.run(3 * 3600.0)
    assert len(run.arrivals_s) <= 4 * 4


@pytest.mark.parametrize("depth", [thorough(1.0), 5.0, thorough(30.0)])
def test_a_server_that_says_no_retry_after_is_used_well(depth: float) -> None:
    run = VirtualRun(ServerPolicy(10.0, 200.0), TokenBucket(30.0, depth, retry_after_s=None), [15_000] * 2)
    run.run(1200.0)
    assert len(run.delivered) >= 0.75 * 30.0 * 1200
    assert len(run.refused) <= 10 * len(run.delivered) / 1000


@pytest.mark.parametrize("tasks", [2, 4])
def test_a_probe_among_several_tasks_is_used_though_they_are_busy(tasks: int) -> None:
    bucket = TokenBucket(30.0, 30.0, retry_after_s=None, ttfb_s=0.03)
    run = VirtualRun(ServerPolicy(10.0, 200.0, 1, 16), bucket, [3000] * tasks, delay_s=0.02)
    run.run(60.0)
    assert len(run.delivered) >= 0.8 * 30.0 * 60


def test_slow_answers_of_a_server_do_not_waste_the_turns_of_its_holders() -> None:
    run = VirtualRun(ServerPolicy(25.0, 25.0), TokenBucket(1e6, 1e6, ttfb_s=0.15), [300] * 4)
    run.run(600.0)
    assert 1200 / run.delivered[-1] >= 0.75 * 25.0


@pytest.mark.parametrize("tasks", [1, 2, 4])
@pytest.mark.parametrize("limit", LIMITS)
def test_a_short_run_also_uses_the_limit_that_nobody_told(limit: str, tasks: int) -> None:
    run = VirtualRun(ServerPolicy(10.0, 200.0), LIMITS[limit](), [600 // tasks] * tasks)
    run.run(600.0)
    assert 600 / run.delivered[-1] >= 0.85 * 30.0
    assert len(run.refused) <= 10 * 0.6


@pytest.mark.parametrize("tasks", [1, 2, 4])
def test_a_burst_makes_up_for_changes_of_holder_and_lateness(tasks: int) -> None:
    run = VirtualRun(ServerPolicy(10.0, 10.0, burst=4), TokenBucket(1e6, 1e6, ttfb_s=0.05), [600 // tasks] * tasks)
    run.run(600.0)
    assert 600 / run.delivered[-1] >= 0.93 * 10.0
    assert widest_excess(run.arrivals_s, 10.0) <= 4.0


@settings(deadline=None, max_examples=30)
@given(
    tasks=st.integers(1, 4),
    burst=st.sampled_from([1, 3]),
    killed_s=st.floats(0.5, 20.0),
    away_s=st.sampled_from([0.0, 3.0, 400.0]),
    ceiling_rps=st.sampled_from([0.5, 40.0]),
    seed=st.integers(0, 10**6),
)
def test_a_budget_that_resumes_with_what_was_learned_exceeds_nothing(
    tasks: int, burst: int, killed_s: float, away_s: float, ceiling_rps: float, seed: int
) -> None:
    policy = ServerPolicy(ceiling_rps / 4, ceiling_rps, burst)
    before = VirtualRun(policy, TokenBucket(30.0, 5.0), [400] * tasks, seed)
    before.run(killed_s)
    after = VirtualRun(policy, TokenBucket(30.0, 5.0), [100] * tasks, seed + 1)
    after.state = ServerState.restore(policy, before.state.snapshot(killed_s), away_s, 0.0)
    # Workers outlive their actor: they use up what they hold, and hear nothing while it is away.
    before.cut_off()
    before.run(killed_s + 60.0)
    after.run(60.0)
    times_s = before.arrivals_s + [killed_s + away_s + at_s for at_s in after.arrivals_s]
    assert after.arrivals_s
    assert widest_excess(times_s, ceiling_rps) <= burst + 1e-6


@pytest.mark.parametrize("tasks", [1, 2])
def test_a_bucket_of_one_is_not_taken_for_a_deep_one_that_is_slower(tasks: int) -> None:
    """It refused before a deep one would have; times that are reported a little late hide the distance it keeps."""
    bucket = TokenBucket(30.0, 1.0, ttfb_s=0.03)
    run = VirtualRun(ServerPolicy(10.0, 200.0, 1, 16), bucket, [10_000] * tasks)
    run.run(300.0)
    assert run.state.snapshot(run.now_s)["incident_rps"] >= 25.0
    assert len(run.delivered) >= 0.85 * 30.0 * 300
