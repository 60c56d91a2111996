"""The environment variables that the older project promises to scripts and custom tools, from our settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray_downloader.settings import Settings

#: Keys of `tools_parameters` that the older project knows; the rest of ours are no promise.
_TOOLS_KEYS = ("num_workers", "max_nodes", "workers_per_node", "cpu_per_worker", "threshold_size", "new_resize_size")


def older_environment(settings: Settings, config_path: Path) -> dict[str, str]:
    """Variables by name. What is not set is an empty string, so that a script under `set -u` can read it.

    Args:
        settings: Of the run.
        config_path: The file that the user gave, or `settings.json`.
    """
    root = settings.path_to_output
    return {
        "CONFIG_PATH": str(config_path),
        "ACCOUNT": settings.account or "",
        "PATH_TO_INPUT": settings.path_to_input,
        "PATH_TO_OUTPUT": str(root),
        **_prefixed("OUTPUT", {key: root / name for key, name in settings.output_structure.model_dump().items()}),
        **_prefixed("DOWNLOADER", settings.downloader_parameters.model_dump()),
        **_prefixed("TOOLS", {key: getattr(settings.tools_parameters, key) for key in _TOOLS_KEYS}),
    }


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, str]:
    return {f"{prefix}_{key.upper()}": _text(value) for key, value in values.items()}


def _text(value: object) -> str:
    """Whole numbers without a fraction: `--cpus-per-task=1.0` is no Slurm option."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
