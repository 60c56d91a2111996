"""What was learned about servers, kept in `schedules/servers.json` so that it outlives actors, runs and time limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import RunLayout

SAVED_AT = "saved_at_unix_s"


def load_server_states(layout: RunLayout) -> dict[str, dict[str, Any]]:
    """Snapshots by budget, each with the time at which it was saved; empty if there is no usable file."""
    try:
        states: dict[str, dict[str, Any]] = json.loads(layout.servers_state_file.read_text("utf-8"))
        return {budget: state for budget, state in states.items() if isinstance(state, dict)}
    except (FileNotFoundError, ValueError, AttributeError):
        return {}


def has_answered(state: Mapping[str, Any]) -> bool:
    """Whether a server of the budget ever answered."""
    return bool(state.get("has_answered") or state.get("successes"))


def save_server_states(layout: RunLayout, snapshots: Mapping[str, Mapping[str, Any]]) -> None:
    """Write all snapshots, atomically."""
    write_text(layout.servers_state_file, json.dumps(dict(sorted(snapshots.items())), indent=1) + "\n")
