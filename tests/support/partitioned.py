"""A run folder as the partition stage leaves it, for tests of what comes after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray_downloader.config.settings import Settings
from ray_downloader.partition import partition
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import RunLayout


def partitioned_run(folder: Path, urls: list[str], **groups: Any) -> tuple[Settings, RunLayout]:
    """Partition a list of URLs; `groups` are settings as the configuration spells them.

    Servers of ten rows have batches of their own, unless `pool_below` is given.
    """
    groups["downloader_parameters"] = {"pool_below": 10, **groups.get("downloader_parameters", {})}
    folder.mkdir(parents=True, exist_ok=True)
    path_to_input = folder / "list.txt"
    path_to_input.write_text("\n".join(urls) + "\n", "utf-8")
    settings = Settings.from_config({"path_to_input": str(path_to_input), "path_to_output": folder / "out", **groups})
    layout = RunLayout.of(settings)
    write_text(layout.settings_file, settings.to_json())
    partition(settings, layout, lambda *_: None)
    return settings, layout
