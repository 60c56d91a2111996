"""The configuration as a three-class tool reads it: under the legacy project's names, whatever file it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_downloader.config.settings import Settings


@dataclass(frozen=True)
class ToolConfig:
    """The configuration of one step.

    Args:
        settings: Those of the run, with the tool's parameters.
        config_path: The user's file.
        rank: Number of this runner, from 0; 0 for filter and scheduler.
        world_size: Number of runners.
    """

    settings: Settings
    config_path: str
    rank: int = 0
    world_size: int = 1

    def __getitem__(self, key: str) -> Any:
        """A value by its key; groups are mappings. Keys of `options` are at the top and in `tools_parameters`, too."""
        return self.as_mapping()[key]

    def get(self, key: str, default: Any = None) -> Any:
        """A value by its key, or the default."""
        return self.as_mapping().get(key, default)

    def get_folder(self, name: str) -> str:
        """The path of a file or folder of `output_structure`, or of `path_to_output_folder`."""
        root = Path(self.settings.path_to_output)
        if name in ("path_to_output", "path_to_output_folder"):
            return str(root)
        return str(root / str(getattr(self.settings.output_structure, name)))

    def as_mapping(self) -> Mapping[str, Any]:
        """All keys."""
        values = self.settings.model_dump(mode="json")
        parameters = values["tools_parameters"]
        values["tools_parameters"] = {**parameters, **parameters["options"]}
        values["path_to_output_folder"] = values["path_to_output"]
        return {**parameters["options"], **values}
