"""Connections of a server without a rate: shared at once, and never more than there are."""

from __future__ import annotations

import random

from ray_downloader.politeness.messages import Lease, LeaseRequest
from ray_downloader.politeness.policy import ServerPolicy
from ray_downloader.politeness.server.state import ServerState

UNLIMITED = ServerPolicy(None, None, max_connections=64, adaptive=False)


def ask(state: ServerState, holder: str, now_s: float, in_flight: int = 0) -> Lease:
    return state.handle(LeaseRequest("s", holder, 500, in_flight), now_s, random.Random(1))


def test_the_second_holder_works_at_once_and_soon_has_half() -> None:
    state = ServerState(UNLIMITED, 0.0)
    first, second = ask(state, "a", 0.0), ask(state, "b", 0.1)
    assert (first.connections, second.connections) == (48, 16)
    for turn in (1.0, 2.0, 3.0):
        first, second = (
            ask(state, "a", turn, in_flight=first.connections),
            ask(state, "b", turn, in_flight=second.connections),
        )
        assert first.connections + second.connections <= 64
    assert (first.connections, second.connections) == (32, 32)


def test_a_single_connection_is_given_to_the_first() -> None:
    state = ServerState(ServerPolicy(None, None, max_connections=1, adaptive=False), 0.0)
    assert ask(state, "a", 0.0).connections == 1
    assert not ask(state, "b", 0.0).connections
