"""States in little memory are what they were; with files, they are in `test_server_states.py`."""

from __future__ import annotations

import pickle
import tracemalloc

import pytest

from ray_downloader.config.settings import DownloaderParameters, PolitenessSettings
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.politeness.server.state import ServerState
from ray_downloader.run_folder.packed_states import LearnedFacts, PackedStates


def test_a_state_is_what_it_was_and_the_newest_counts() -> None:
    states = PackedStates()
    states["a.example"] = {"rate_rps": 1.0, "controls": ["http://a.example/1.jpg"]}
    states["b.example"] = {"said": '\u2028 "no"', "waiting": None}
    states["a.example"] = newest = {"rate_rps": 2.0, "successes": 1}
    assert (list(states), len(states)) == (["a.example", "b.example"], 2)
    assert states["a.example"] == newest
    assert states["b.example"] == {"said": '\u2028 "no"', "waiting": None}
    assert states.facts["a.example"] == LearnedFacts(2.0, has_answered=True, has_served=True)
    with pytest.raises(KeyError):
        states["c.example"]


@pytest.mark.parametrize(
    ("state", "facts"),
    [
        ({}, LearnedFacts(None, "", False, False)),
        ({"rate_rps": None, "condition": None, "successes": 0}, LearnedFacts(None, "", False, False)),
        ({"rate_rps": 0}, LearnedFacts()),
        ({"rate_rps": 0.5, "condition": "throttled"}, LearnedFacts(0.5, "throttled", False, False)),
        ({"has_answered": True}, LearnedFacts(None, "", True, False)),
        ({"has_answered": False, "successes": 2}, LearnedFacts(None, "", True, True)),
    ],
)
def test_who_served_has_answered_but_not_the_other_way_round(state: dict[str, object], facts: LearnedFacts) -> None:
    assert LearnedFacts.of(state) == facts
    assert LearnedFacts() == (None, "", False, False)


def test_what_the_driver_keeps_of_a_server_takes_little_memory() -> None:
    """As objects the states of 10^6 servers took 4 GB."""
    policies = PolicyBook(PolitenessSettings(contact="me@example.org"), DownloaderParameters(), {})
    states = PackedStates()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(500):
        state = ServerState(policies.policy(f"h{number}.example"), 0.0).snapshot(number / 7)
        # As it comes from an actor: no value is shared.
        states[f"h{number}.example"] = pickle.loads(pickle.dumps({**state, "rate_rps": 3.0 + number / 9}))
    del state
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert taken < 600 * 500
