"""What was learned about servers, kept in `schedules/servers.json` so that it outlives actors, runs and time limits.

To write the states of 10^5 servers takes seconds, so those that have changed are appended to `servers.changes`, and all
are written anew when that would have as many entries as there are servers. Some hundred are written anew each time.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.small_json import read_object

SAVED_AT = "saved_at_unix_s"
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
        states = _whole_states(self._layout)
        self._appended = 0
        for budget, state in _changes(self._layout):
            self._appended += 1
            if _time_of(state) >= _time_of(states.get(budget, {})):
                states[budget] = state
        return states

    def save(self, states: States, changed: States) -> None:
        """Save all states; only `changed` differ from what was saved or loaded before.

        Raises:
            OSError: They could not be saved.
        """
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
    indent = 1 if len(snapshots) <= FEW_STATES else None  # Python's own encoder, which indents, takes ten times as long
    write_text(layout.servers_state_file, json.dumps(dict(sorted(snapshots.items())), indent=indent) + "\n")
    layout.server_changes_file.unlink(missing_ok=True)


def _whole_states(layout: RunLayout) -> dict[str, dict[str, Any]]:
    try:
        states = read_object(layout.servers_state_file)
        return {budget: state for budget, state in states.items() if isinstance(state, dict)}
    except (OSError, ValueError):
        return {}


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


def _time_of(state: Mapping[str, Any]) -> float:
    saved_at = state.get(SAVED_AT)
    return float(saved_at) if isinstance(saved_at, int | float) else 0.0
