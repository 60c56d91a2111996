"""What was learned of servers outlives the run."""

from __future__ import annotations

from pathlib import Path

from ray_downloader.config.settings import OutputStructure
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.server_states import SAVED_AT, load_server_states, save_server_states


def test_what_is_saved_is_loaded_in_the_order_of_names(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    states = {"b.example": {"rate_rps": 2.5, SAVED_AT: 10.0}, "a.example": {"rate_rps": 1.0, SAVED_AT: 11.0}}
    save_server_states(layout, states)
    assert load_server_states(layout) == states
    assert list(load_server_states(layout)) == ["a.example", "b.example"]
    text = layout.servers_state_file.read_text("utf-8")
    assert text.endswith("}\n")
    assert text.count("\n") == 10, "one value on each line, so that people can read and compare it"


def test_without_a_usable_file_nothing_is_known(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    assert load_server_states(layout) == {}
    layout.schedules.mkdir()
    layout.servers_state_file.write_text('{"a.example": {"rate')
    assert load_server_states(layout) == {}
