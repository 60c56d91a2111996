"""The environment variables that distributed-downloader promises to scripts and custom tools, from our settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray_downloader.config.settings import Settings

#: Keys of `tools_parameters` that distributed-downloader knows; the others are ours and not promised.
_TOOLS_KEYS = ("num_workers", "max_nodes", "workers_per_node", "cpu_per_worker", "threshold_size", "new_resize_size")


def legacy_environment(settings: Settings, config_path: Path, tool: str | None = None) -> dict[str, str]:
    """Variables by name. An unset value is an empty string, so that a script under `set -u` can read it.

    Args:
        settings: The settings of the run.
        config_path: The file that the user gave, or `settings.json`.
        tool: The custom tool that reads them; it also gets its options and a folder for its logs.
    """
    tools_parameters = settings.tools_parameters
    root = settings.path_to_output
    return {
        "CONFIG_PATH": str(config_path),
        "ACCOUNT": settings.account or "",
        "PATH_TO_INPUT": settings.path_to_input,
        "PATH_TO_OUTPUT": str(root),
        **_prefixed("OUTPUT", {key: root / name for key, name in settings.output_structure.model_dump().items()}),
        **_prefixed("DOWNLOADER", settings.downloader_parameters.model_dump()),
        **_prefixed("TOOLS", {key: getattr(tools_parameters, key) for key in _TOOLS_KEYS}),
        **(_of_tool(settings, tool) if tool else {}),
    }


def _of_tool(settings: Settings, tool: str) -> dict[str, str]:
    logs = settings.path_to_output / settings.output_structure.tools_folder / tool / "logs"
    return {"OUTPUT_TOOLS_LOGS_FOLDER": str(logs), **_prefixed("TOOLS", settings.tools_parameters.options)}


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, str]:
    return {f"{prefix}_{key.upper()}": _text(value) for key, value in values.items()}


def _text(value: object) -> str:
    """Whole numbers without a fraction: `--cpus-per-task=1.0` is not a valid option of Slurm."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
