"""What was learned of servers outlives the run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.config.settings import OutputStructure
from ray_downloader.run_folder.instants import SAVED_AT, Instant
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.packed_states import LearnedFacts
from ray_downloader.run_folder.server_states import (
    FEW_STATES,
    StatesFile,
    load_server_states,
    save_server_states,
)


def test_what_is_saved_is_loaded_in_the_order_of_names(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    states = {"b.example": {"rate_rps": 2.5, SAVED_AT: 10.0}, "a.example": {"rate_rps": 1.0, SAVED_AT: 11.0}}
    save_server_states(layout, states)
    assert load_server_states(layout) == states
    assert list(load_server_states(layout)) == ["a.example", "b.example"]
    text = layout.servers_state_file.read_text("utf-8")
    assert text == json.dumps(dict(sorted(states.items())), indent=1) + "\n"
    assert text.count("\n") == 10, "one value on each line, so that people can read and compare it"


def test_without_a_usable_file_nothing_is_known(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    assert load_server_states(layout) == {}
    layout.schedules.mkdir()
    layout.servers_state_file.write_text('{"a.example": {"rate')
    assert load_server_states(layout) == {}


def states_of(count: int, saved_at: float = 10.0) -> dict[str, dict[str, Any]]:
    return {f"s{number:06d}.example": {"rate_rps": 1.0, SAVED_AT: saved_at} for number in range(count)}


class Saved:
    """A run with many servers, all of which are saved."""

    def __init__(self, folder: Path, servers: int = 4 * FEW_STATES) -> None:
        self.layout = RunLayout(folder, OutputStructure())
        self.states = states_of(servers)
        self.file = StatesFile(self.layout)
        self.file.save(self.states, self.states)

    def change(self, numbers: range, saved_at: float) -> None:
        changed = {f"s{number:06d}.example": {"rate_rps": 2.0, SAVED_AT: saved_at} for number in numbers}
        self.states |= changed
        self.file.save(self.states, changed)


def test_of_many_states_only_what_has_changed_is_written(tmp_path: Path) -> None:
    run = Saved(tmp_path)
    before = run.layout.servers_state_file.stat()
    run.change(range(3), 20.0)
    run.change(range(2, 4), 30.0)
    assert run.layout.servers_state_file.stat() == before
    assert run.layout.server_changes_file.stat().st_size < 500
    assert load_server_states(run.layout) == run.states


@pytest.mark.parametrize("servers", [3, 4 * FEW_STATES])
def test_nothing_is_written_where_nothing_has_changed(tmp_path: Path, servers: int) -> None:
    run = Saved(tmp_path, servers)
    before = run.layout.servers_state_file.stat()
    run.file.save(run.states, {})
    assert run.layout.servers_state_file.stat() == before
    assert not run.layout.server_changes_file.exists()


def test_once_there_are_as_many_changes_as_states_all_are_written_anew(tmp_path: Path) -> None:
    run = Saved(tmp_path)
    for turn in range(4):
        assert load_server_states(run.layout) == run.states
        run.change(range(FEW_STATES), 20.0 + turn)
    assert not run.layout.server_changes_file.exists()
    assert load_server_states(run.layout) == run.states
    later = StatesFile(run.layout)
    later.load()
    later.save(run.states, states_of(1))
    assert run.layout.server_changes_file.exists()


def test_another_process_counts_the_changes_that_it_finds(tmp_path: Path) -> None:
    run = Saved(tmp_path)
    for turn in range(3):
        run.change(range(FEW_STATES), 20.0 + turn)
        run.file = StatesFile(run.layout)
        assert run.file.load() == run.states
        assert run.layout.server_changes_file.exists()
    run.change(range(FEW_STATES), 30.0)
    assert not run.layout.server_changes_file.exists()


def test_few_states_are_one_file_that_people_can_read(tmp_path: Path) -> None:
    run = Saved(tmp_path, servers=FEW_STATES)
    run.change(range(1), 20.0)
    assert run.layout.servers_state_file.read_text("utf-8").count("\n") == 4 * FEW_STATES + 2, "a value on each line"
    assert not run.layout.server_changes_file.exists()
    assert load_server_states(run.layout) == run.states


def test_changes_that_a_kill_left_beside_a_newer_file_change_nothing(tmp_path: Path) -> None:
    run = Saved(tmp_path)
    run.change(range(3), 20.0)
    left = run.layout.server_changes_file.read_bytes()
    run.change(range(4 * FEW_STATES), 30.0)
    run.layout.server_changes_file.write_bytes(left)
    assert load_server_states(run.layout) == run.states


def test_a_change_after_the_clock_was_set_back_is_the_newer_one(tmp_path: Path) -> None:
    run = Saved(tmp_path, servers=0)
    before, after = Instant(5000.0, "boot", 10.0), Instant(1400.0, "boot", 20.0)
    run.states = {name: {**state, **before.in_state()} for name, state in states_of(4 * FEW_STATES).items()}
    run.file.save(run.states, run.states)
    changed = {"s000001.example": {"rate_rps": 2.0, **after.in_state()}}
    run.file.save({**run.states, **changed}, changed)
    assert load_server_states(run.layout)["s000001.example"]["rate_rps"] == 2.0


def test_changes_are_on_disk_when_they_have_been_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Saved(tmp_path)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    run.change(range(2), 20.0)
    assert synced == [run.layout.server_changes_file.stat().st_size], "not what the buffer still held back"


@pytest.mark.parametrize("lost_bytes", [1, 2, 40])
def test_a_torn_end_costs_only_itself_and_swallows_nothing_that_follows(tmp_path: Path, lost_bytes: int) -> None:
    run = Saved(tmp_path)
    run.change(range(2), 20.0)
    path = run.layout.server_changes_file
    path.write_bytes(path.read_bytes()[:-lost_bytes])
    torn = load_server_states(run.layout)
    assert torn["s000000.example"]["rate_rps"] == 2.0
    assert torn["s000001.example"]["rate_rps"] == (2.0 if lost_bytes == 1 else 1.0)
    run.change(range(5, 6), 30.0)
    assert load_server_states(run.layout)["s000005.example"]["rate_rps"] == 2.0


@pytest.mark.parametrize("place", [0, 5, 12, 60])
def test_a_damaged_change_costs_only_itself(tmp_path: Path, place: int) -> None:
    run = Saved(tmp_path)
    run.change(range(3), 20.0)
    path = run.layout.server_changes_file
    first, second, third = path.read_bytes().strip().split(b"\n")
    damaged = bytearray(second)
    damaged[place] ^= 0x04
    path.write_bytes(b"\n".join([first, bytes(damaged), third, b""]))
    loaded = load_server_states(run.layout)
    rates = [loaded[f"s{number:06d}.example"]["rate_rps"] for number in range(3)]
    assert rates == [2.0, 1.0, 2.0]


def test_if_the_whole_file_is_lost_the_changes_still_count(tmp_path: Path) -> None:
    run = Saved(tmp_path)
    run.change(range(3), 20.0)
    run.layout.servers_state_file.unlink()
    assert set(load_server_states(run.layout)) == {"s000000.example", "s000001.example", "s000002.example"}


def test_states_are_packed_to_what_they_were_and_their_facts_are_beside_them(tmp_path: Path) -> None:
    run = Saved(tmp_path)
    odd = {"servér.example": {"said": 'a "quoted"\nword', SAVED_AT: 20.0, "successes": 3, "condition": "throttled"}}
    run.states |= odd
    run.file.save(run.states, odd)
    for _ in range(2):
        packed = StatesFile(run.layout).load_packed()
        assert dict(packed) == run.states == load_server_states(run.layout)
        assert packed.facts["s000001.example"] == LearnedFacts(1.0)
        assert packed.facts["servér.example"] == LearnedFacts(None, "throttled", has_answered=True, has_served=True)
        save_server_states(run.layout, packed)
        assert json.loads(run.layout.servers_state_file.read_text("utf-8")) == run.states


def test_a_damaged_line_of_the_file_costs_only_itself(tmp_path: Path) -> None:
    run = Saved(tmp_path)
    path = run.layout.servers_state_file
    lines = path.read_bytes().split(b"\n")
    lines[3] = b'"s000002.example": {"rate_'
    path.write_bytes(b"\n".join(lines))
    assert load_server_states(run.layout) == {
        name: state for name, state in run.states.items() if name != "s000002.example"
    }


def test_the_file_of_earlier_versions_is_read(tmp_path: Path) -> None:
    """All states were in one line."""
    run = Saved(tmp_path)
    run.layout.servers_state_file.write_text(json.dumps(run.states) + "\n", "utf-8")
    assert load_server_states(run.layout) == run.states == dict(StatesFile(run.layout).load_packed())
