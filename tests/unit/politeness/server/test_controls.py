"""URLs that were served are remembered, the newest of them, each once, and outlive the process."""

from __future__ import annotations

import random

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.messages import LeaseRequest, Outcome, ProbeUrl
from ray_downloader.politeness.policy import ServerPolicy
from ray_downloader.politeness.server.controls import KEPT, Controls
from ray_downloader.politeness.server.runs import FORBIDDEN_RUN
from ray_downloader.politeness.server.state import ServerState

POLICY = ServerPolicy(10.0, 10.0)
URL = "http://a.example/served.jpg"


def test_the_newest_are_kept_and_each_once() -> None:
    controls = Controls()
    controls.add(["a", "b", "a"])
    assert controls.urls == ("a", "b")
    controls.add(str(number) for number in range(KEPT))
    assert controls.urls == tuple(str(number) for number in range(KEPT))


def test_a_holder_that_knows_none_gets_those_of_others_with_its_lease() -> None:
    state, rng = ServerState(POLICY, 0.0), random.Random(1)
    state.handle(LeaseRequest("a.example", "one", 1, outcomes=(Outcome(None, 200),), controls=(URL,)), 1.0, rng)
    assert state.handle(LeaseRequest("a.example", "two", 1), 2.0, rng).controls == (URL,)
    refused = tuple(
        Outcome(ErrorKind.HTTP_4XX, 403, url_hash=number, age_s=0.1) for number in range(1, FORBIDDEN_RUN + 1)
    )
    lease = state.handle(LeaseRequest("a.example", "two", 1, outcomes=refused), 6.0, rng)
    assert (lease.controls, lease.probe_url) == ((URL,), ProbeUrl.SERVED)
    again = ServerState.restore(POLICY, state.snapshot(6.0), 1.0, 0.0)
    lease = again.handle(LeaseRequest("a.example", "three", 1), 0.1, rng)
    assert (lease.controls, lease.probe_url) == ((URL,), ProbeUrl.SERVED)


def test_a_damaged_snapshot_costs_no_more_than_what_is_damaged() -> None:
    for damaged in (7, "text", {"a": 1}, [1, None]):
        again = ServerState.restore(POLICY, {"condition": "suspect", "controls": damaged}, 1.0, 0.0)
        lease = again.handle(LeaseRequest("a.example", "one", 1), 0.1, random.Random(1))
        assert lease.controls == ()
