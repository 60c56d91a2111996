"""What was learned about servers, kept in `schedules/servers.json` so that it outlives actors, runs and time limits.

To write the states of 10^5 servers takes seconds, so those that have changed are appended to `servers.changes`, and all
are written anew when that would have as many entries as there are servers. Some hundred are written anew each time. Of
more than that, `servers.json` has a line for each, so it is never in memory as a whole.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from ray_downloader.run_folder.atomic import replacing, write_text
from ray_downloader.run_folder.file_errors import require_damage
from ray_downloader.run_folder.instants import Instant
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.packed_states import PackedStates
from ray_downloader.run_folder.small_json import parse_object, read_object

#: So many states are written in 10 ms, so they are in one file that people can read.
FEW_STATES = 500
_CHECKSUM_BYTES = 8

States = Mapping[str, Mapping[str, Any]]


class StatesFile:
    """The saved states of a run; one process at a time writes them.

    Args:
        layout: Paths of the run.
    """

    def __init__(self, layout: RunLayout) -> None:
        self._layout = layout
        self._appended = 0

    def load(self) -> dict[str, dict[str, Any]]:
        """Snapshots by budget, each with the time at which it was saved; empty if nothing usable is saved.

        A change that is torn or damaged costs only itself: an older state of that budget counts.
        """
        states: dict[str, dict[str, Any]] = {}
        self._load_into(states)
        return states

    def load_packed(self) -> PackedStates:
        """As `load`, in little memory."""
        states = PackedStates()
        self._load_into(states)
        return states

    def _load_into(self, states: dict[str, dict[str, Any]] | PackedStates) -> None:
        for budget, state in _whole_states(self._layout):
            states[budget] = state
        self._appended = 0
        for budget, state in _changes(self._layout):
            self._appended += 1
            if Instant.of(state).since(Instant.of(states.get(budget, {}))) >= 0:
                states[budget] = state

    def save(self, states: States, changed: States) -> None:
        """Save all states; only `changed` differ from what was saved or loaded before.

        Raises:
            OSError: They could not be saved.
        """
        if not changed:
            return
        if len(states) <= FEW_STATES or self._appended + len(changed) >= len(states):
            save_server_states(self._layout, states)
            self._appended = 0
        elif changed:
            self._append(changed)

    def _append(self, changed: States) -> None:
        # What a kill has torn before ends at the first line break, so it costs only itself.
        lines = b"\n" + b"".join(_line(budget, state) for budget, state in changed.items())
        path = self._layout.server_changes_file
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        self._appended += len(changed)


def load_server_states(layout: RunLayout) -> dict[str, dict[str, Any]]:
    """As `StatesFile.load`, for those who do not write."""
    return StatesFile(layout).load()


def has_answered(state: Mapping[str, Any]) -> bool:
    """Whether a server of the budget ever answered."""
    return bool(state.get("has_answered") or state.get("successes"))


def save_server_states(layout: RunLayout, snapshots: States) -> None:
    """Write all snapshots, atomically; then no change is left over."""
    if len(snapshots) <= FEW_STATES:
        text = json.dumps({budget: dict(state) for budget, state in sorted(snapshots.items())}, indent=1)
        write_text(layout.servers_state_file, text + "\n")
    else:
        with replacing(layout.servers_state_file) as temp, temp.open("w", encoding="utf-8") as file:
            file.writelines(_lines_of(snapshots))
    layout.server_changes_file.unlink(missing_ok=True)


def _lines_of(snapshots: States) -> Iterator[str]:
    """An object with a line for each state."""
    separator = "{\n"
    for budget in sorted(snapshots):
        is_packed = isinstance(snapshots, PackedStates)
        text = snapshots.text_of(budget) if is_packed else json.dumps(dict(snapshots[budget]))  # type: ignore[attr-defined] # checked
        yield f"{separator}{json.dumps(budget)}: {text}"
        separator = ",\n"
    yield "\n}\n"


def _whole_states(layout: RunLayout) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with layout.servers_state_file.open(encoding="utf-8") as file:
            has_lines = file.readline() == "{\n" and file.read(1) == '"'
            file.seek(0)
            states = _states_in(file) if has_lines else read_object(layout.servers_state_file).items()
            yield from ((budget, state) for budget, state in states if isinstance(state, dict))
    except (OSError, ValueError) as error:
        require_damage(error, layout.servers_state_file)


def _states_in(lines: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """The states of a file with a line for each; a damaged line costs only itself."""
    for line in lines:
        if line.startswith('"'):
            with suppress(ValueError):
                yield from parse_object(f"{{{line.rstrip().rstrip(',')}}}").items()


def _changes(layout: RunLayout) -> Iterator[tuple[str, dict[str, Any]]]:
    with suppress(FileNotFoundError), layout.server_changes_file.open("rb") as file:
        for line in file:
            payload = line[_CHECKSUM_BYTES + 1 :].rstrip(b"\n")
            if payload and line[:_CHECKSUM_BYTES] == _checksum(payload):
                budget, state = json.loads(payload)
                yield budget, state


def _line(budget: str, state: Mapping[str, Any]) -> bytes:
    payload = json.dumps([budget, dict(state)]).encode()
    return b"%b %b\n" % (_checksum(payload), payload)


def _checksum(payload: bytes) -> bytes:
    return b"%08x" % zlib.crc32(payload)
