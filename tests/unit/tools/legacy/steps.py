"""What a step of a custom tool is given, for tests."""

from __future__ import annotations

from ray_downloader.tools import ToolConfig
from tests.support.stored import StoredRun


def config(run: StoredRun, rank: int = 0, world_size: int = 2) -> ToolConfig:
    """Of one of the runners."""
    return ToolConfig(run.settings, "config.yaml", rank, world_size)
