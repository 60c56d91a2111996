"""States that rest are packed, and come back as they were; whatever the run or time could change is not packed."""

from __future__ import annotations

import random
from typing import Any

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.messages import LeaseRequest, Outcome
from ray_downloader.politeness.policy import ServerPolicy
from ray_downloader.politeness.server.state import ServerState
from ray_downloader.worker.kept_states import REST_S, KeptStates

POLICY = ServerPolicy(start_rate_rps=2.0, ceiling_rps=3.0, patience_s=900.0)
RNG = random.Random(1)
LATER = REST_S + 10.0


def a_state(*outcomes: Outcome, in_flight: int = 0) -> ServerState:
    state = ServerState(POLICY, 0.0)
    state.handle(LeaseRequest("a", "task", 1, in_flight=in_flight), 0.0, RNG)
    state.handle(LeaseRequest("a", "task", 0, in_flight=in_flight, outcomes=outcomes), 1.0, RNG)
    return state


def kept(unpacked: int = 0, **states: ServerState) -> KeptStates:
    found = KeptStates(unpacked)
    for name, state in states.items():
        found.add(name, state, 1.0)
    return found


def using_another(found: KeptStates, now_s: float) -> list[str]:
    """What is packed after another state was used."""
    found.add("other", ServerState(POLICY, now_s), now_s)
    found.use("other", now_s)
    return list(found.packed)


SERVED = Outcome(None, 200, ttfb_s=0.1, total_s=0.2, size_bytes=5_000)


def test_what_rests_is_packed_and_comes_back_as_it_was() -> None:
    state = a_state(SERVED)
    before = state.snapshot(LATER)
    found = kept(a=state)
    assert using_another(found, LATER) == ["a"]
    assert len(found) == 2 and set(found) == {"a", "other"}
    assert found.look_at("a").snapshot(LATER) == before
    assert list(found.packed) == ["a"], "it was only looked at"
    again = found.use("a", LATER)
    assert again is not None and again.snapshot(LATER) == before
    assert list(found.packed) == []
    lease, same = (
        one.handle(LeaseRequest("a", "task", 5), LATER, random.Random(2)) for one in (again, a_state(SERVED))
    )
    assert lease == same


def test_what_was_used_lately_or_is_one_of_few_is_not_packed() -> None:
    assert using_another(kept(a=a_state()), 1.0 + REST_S) == []
    assert using_another(kept(unpacked=2, a=a_state()), LATER) == []
    assert using_another(kept(unpacked=1, a=a_state()), LATER) == ["a"]


@pytest.mark.parametrize(
    ("outcomes", "arguments"),
    [
        ((), {"in_flight": 1}),
        ((Outcome(ErrorKind.HTTP_429, 429, retry_after_s=600.0, url_hash=1),), {}),
        (tuple(Outcome(ErrorKind.CONNECT, url_hash=number) for number in range(6)), {}),
    ],
    ids=["in flight", "paused", "unreachable"],
)
def test_what_time_or_the_run_could_change_is_not_packed(outcomes: tuple[Outcome, ...], arguments: Any) -> None:
    assert using_another(kept(a=a_state(*outcomes, **arguments)), LATER) == []


def test_what_cannot_be_packed_does_not_keep_others_from_it() -> None:
    busy = {f"busy{number}": a_state(in_flight=1) for number in range(10)}
    found = kept(**busy, a=a_state())
    for _ in range(4):
        using_another(found, LATER)
    assert list(found.packed) == ["a"]


def test_an_outage_that_a_packed_state_has_missed_is_made_up_for() -> None:
    """What was seen shortly before an outage is no evidence against a server."""
    failures = tuple(Outcome(ErrorKind.CONNECT, url_hash=number) for number in range(3))
    state, awake = a_state(*failures), a_state(*failures)
    found = kept(a=state)
    assert using_another(found, LATER) == ["a"]
    assert found.note_outage(True, LATER) == ["other"]
    found.note_outage(False, LATER + 5.0)
    for is_outage in (True, False):
        awake.note_outage(is_outage, LATER + 5.0)
    again = found.use("a", LATER + 6.0)
    assert again is not None
    for one in (again, awake):
        one.handle(LeaseRequest("a", "task", 1, outcomes=failures), LATER + 7.0, random.Random(2))
    assert not again.is_at_rest(LATER + 8.0) or awake.is_at_rest(LATER + 8.0)
    assert again.snapshot(LATER + 8.0) == awake.snapshot(LATER + 8.0)
    assert again.snapshot(LATER + 8.0)["condition"] == "healthy"


def test_a_packed_state_takes_little_as_all_are_of_the_same_pieces() -> None:
    found = kept(**{f"s{number}": a_state(SERVED) for number in range(4)})
    using_another(found, LATER)
    using_another(found, LATER)
    sizes = [len(packed) for packed in found._packed.values()]
    assert len(sizes) == 4 and max(sizes) < 500


def test_states_are_packed_a_few_at_a_time_those_that_rest_longest_first() -> None:
    found = KeptStates(0)
    for number in range(6):
        found.add(f"s{number}", a_state(SERVED), float(number))
    assert using_another(found, 100.0) == ["s0", "s1", "s2", "s3"]
    assert using_another(found, 100.0) == ["s0", "s1", "s2", "s3", "s4", "s5"]
    assert found.use("nobody", 100.0) is None
