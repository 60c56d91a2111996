"""The driver's side of the budget actors: who is told what, and what is saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.cluster.placement import Directory
from ray_downloader.cluster.ports import RunMode
from ray_downloader.cluster.server_actors import ServerActors
from ray_downloader.config.settings import Settings
from ray_downloader.partition.batches import Batch
from ray_downloader.run_folder.instants import SAVED_AT, Instant
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.orders import ServerOrder
from ray_downloader.run_folder.schemas import POOLED
from ray_downloader.run_folder.server_states import load_server_states, save_server_states
from ray_downloader.worker.news import ProgressNews, StateNews
from ray_downloader.worker.progress import Progress
from ray_downloader.worker.run_context import RunContext

DIRECTORY = Directory({"big.org": "dedicated"}, ("shared 0",))


class Calls:
    """Calls (`server_actors.ActorCalls`) of actors that are only names."""

    def __init__(self) -> None:
        self.restarting: set[str] = set()
        self.answers: dict[tuple[str, str], Any] = {}
        self.news: dict[str, list[StateNews]] = {}
        self.confirmed: list[set[int]] = []
        self.told: list[tuple[str, str, tuple[object, ...]]] = []

    def request(self, actors: Sequence[str], method: str, *arguments: object) -> list[Any]:
        if method == "order":
            heard = [actor for actor in actors if actor not in self.restarting]
            self.send(heard, method, *arguments)
            return [None for _ in heard]
        if method == "state_news":
            pages = [self.news[actor] for actor in actors if self.news.get(actor)]
            self.confirmed.append(set(*arguments))  # type: ignore[call-overload]
            return [page.pop(0) for page in pages]
        return [self.answers[actor, method] for actor in actors if (actor, method) in self.answers]

    def send(self, actors: Sequence[str], method: str, *arguments: object) -> None:
        self.told += [(actor, method, arguments) for actor in actors]


class Watched:
    """The actors of a run folder, and their calls."""

    def __init__(self, folder: Path, states: dict[str, Any] | None = None) -> None:
        settings = Settings.from_config({"path_to_input": "list.txt", "path_to_output": folder})
        self.layout = RunLayout.of(settings)
        if states:
            save_server_states(self.layout, states)
        self.calls = Calls()
        self.actors = ServerActors(RunContext(settings, self.layout), DIRECTORY, self.calls, lambda: Instant(1.8e9))


def test_a_change_is_told_to_all_once_and_again_with_each_save(tmp_path: Path) -> None:
    run = Watched(tmp_path)
    run.actors.enter(RunMode(is_idle=True))
    run.actors.enter(RunMode(is_idle=True))
    idle = [("dedicated", "note_idle", (True,)), ("shared 0", "note_idle", (True,))]
    assert run.calls.told == idle
    run.actors.save()
    assert run.calls.told == idle * 2, "an actor that was restarted meanwhile does not know"
    run.calls.told.clear()
    run.actors.enter(RunMode(is_draining=True, is_outage=True))
    assert {(method, arguments) for _, method, arguments in run.calls.told} == {
        ("note_idle", (False,)), ("note_outage", (True,)), ("drain", ()),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("order", "actors"),
    [
        (ServerOrder("ban", "big.org"), ["dedicated"]),
        (ServerOrder("ban", "small.org"), ["shared 0"]),
        (ServerOrder("rate", "c1.staticflickr.com", 2.0), ["shared 0"]),
        (ServerOrder("ban", "c1.staticflickr.com"), ["dedicated", "shared 0"]),
    ],
)
def test_an_order_goes_to_the_actor_of_its_budget_and_one_for_a_host_of_a_group_to_all(
    tmp_path: Path, order: ServerOrder, actors: list[str]
) -> None:
    run = Watched(tmp_path)
    run.actors.order(order)
    assert run.calls.told == [(actor, "order", (order,)) for actor in actors]


def test_an_actor_that_does_not_answer_keeps_its_last_state(tmp_path: Path) -> None:
    run = Watched(
        tmp_path, {"big.org": {SAVED_AT: 1.0, "rate_rps": 9.0}, "small.org": {SAVED_AT: 1.0, "rate_rps": 2.0}}
    )
    run.calls.news["shared 0"] = [StateNews(1, {"small.org": {"rate_rps": 3.0}}, is_more=False)]
    run.actors.save()
    saved = load_server_states(run.layout)
    assert saved["big.org"] == {SAVED_AT: 1.0, "rate_rps": 9.0}
    assert saved["small.org"] == {SAVED_AT: 1.8e9, "rate_rps": 3.0}


def test_progress_is_that_of_the_first_shared_actor_if_it_answers(tmp_path: Path) -> None:
    run = Watched(tmp_path)
    assert run.actors.progress(None) is None
    run.calls.answers["shared 0", "progress_news"] = ProgressNews(7, Progress(answered=3))
    assert run.actors.progress(None) == ProgressNews(7, Progress(answered=3))


def test_all_that_has_changed_is_saved_in_turns_and_confirmed_with_the_next_question(tmp_path: Path) -> None:
    run = Watched(tmp_path)
    run.calls.news = {
        "dedicated": [StateNews(11, {"big.org": {"rate_rps": 1.0}}, is_more=False)],
        "shared 0": [
            StateNews(21, {"a.org": {"rate_rps": 2.0}}, is_more=True),
            StateNews(22, {"b.org": {}}, is_more=False),
        ],
    }
    run.actors.save()
    assert run.calls.confirmed == [set(), {11, 21}]
    assert set(load_server_states(run.layout)) == {"big.org", "a.org", "b.org"}
    run.actors.save()
    assert run.calls.confirmed[-1] == {22}


def test_who_ever_answered_is_known_from_earlier_runs_too(tmp_path: Path) -> None:
    assert not Watched(tmp_path / "fresh").actors.has_answered()
    states = {"a.org": {"has_answered": True}, "b.org": {"successes": 3}, "c.org": {"successes": 0}}
    actors = Watched(tmp_path, states).actors
    assert actors.has_answered()
    assert [actors.has_answered(server) for server in ("a.org", "b.org", "c.org", "d.org")] == [
        True,
        True,
        False,
        False,
    ]


def test_the_expected_rate_is_learned_or_that_of_the_policy(tmp_path: Path) -> None:
    actors = Watched(tmp_path, {"a.org": {"rate_rps": 9.0}, "staticflickr.com": {"rate_rps": 5.0}}).actors

    def rate_rps(server: str, servers: int = 1) -> float:
        return actors.expected_rate_rps(Batch(0, server, 0, "rows", 0, 10, servers))

    assert rate_rps("a.org") == 9.0
    assert rate_rps("b.org") == 3.0
    assert rate_rps("c1.staticflickr.com") == 5.0
    assert rate_rps(POOLED, servers=7) == 21.0


def test_an_order_is_passed_on_until_the_actor_has_it_and_in_turn(tmp_path: Path) -> None:
    run = Watched(tmp_path)
    run.calls.restarting = {"dedicated"}
    pause, resume = ServerOrder("pause", "big.org"), ServerOrder("resume", "big.org")
    run.actors.order(pause)
    run.actors.order(resume)
    run.actors.progress(None)
    assert run.calls.told == []
    run.calls.restarting.clear()
    run.actors.progress(None)
    run.actors.progress(None)
    assert run.calls.told == [("dedicated", "order", (pause,)), ("dedicated", "order", (resume,))], "each once"
