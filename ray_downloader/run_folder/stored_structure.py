"""The names of a run's files and folders, which may have been configured, from its `settings.json`."""

from __future__ import annotations

import json

from ray_downloader.config.settings import OutputStructure, known_keys


def stored_structure(settings: str | bytes) -> OutputStructure:
    """The names.

    Args:
        settings: The content of the file.

    Raises:
        ValueError: It is not a settings file.
        AttributeError: Likewise.
    """
    structure = json.loads(settings).get("output_structure", {})
    return OutputStructure.model_validate(known_keys(structure, OutputStructure))
