"""The names of a run's files and folders, which may have been configured, from its `settings.json`."""

from __future__ import annotations

from ray_downloader.config.settings import OutputStructure, known_keys
from ray_downloader.run_folder.small_json import parse_object


def stored_structure(settings: str | bytes) -> OutputStructure:
    """The names.

    Args:
        settings: The content of the file.

    Raises:
        ValueError: It is not a settings file.
        AttributeError: Likewise.
    """
    structure = parse_object(settings).get("output_structure", {})
    return OutputStructure.model_validate(known_keys(structure, OutputStructure))
