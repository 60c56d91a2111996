"""A run folder as the partition stage leaves it, for tests of what comes after."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ray_downloader.config.settings import Settings
from ray_downloader.partition import partition
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.layout import RunLayout

#: Files below `urls/` by the list and by what the stage reads of the settings: a module's tests have few lists, and the
#: stage costs a tenth of a second.
_written: dict[str, dict[str, bytes]] = {}


def partitioned_run(folder: Path, urls: list[str], **groups: Any) -> tuple[Settings, RunLayout]:
    """Partition a list of URLs, once per process; `groups` are settings as the configuration spells them.

    Servers of ten rows have batches of their own, unless `pool_below` is given.
    """
    groups["downloader_parameters"] = {"pool_below": 10, **groups.get("downloader_parameters", {})}
    folder.mkdir(parents=True, exist_ok=True)
    path_to_input = folder / "list.txt"
    path_to_input.write_text("\n".join(urls) + "\n", "utf-8")
    settings = Settings.from_config({"path_to_input": str(path_to_input), "path_to_output": folder / "out", **groups})
    layout = RunLayout.of(settings)
    write_text(layout.settings_file, settings.to_json())
    list_and_options = json.dumps([urls, groups["downloader_parameters"], groups.get("dataset")])
    if list_and_options in _written:
        shutil.rmtree(layout.urls, ignore_errors=True)
        layout.urls.mkdir()
        for name, content in _written[list_and_options].items():
            (layout.urls / name).write_bytes(content)
        return settings, layout
    summary = partition(settings, layout, lambda *_: None)
    if not settings.base and not summary.rejected_by_reason:  # other runs may change; a rejected row names its list
        _written[list_and_options] = {path.name: path.read_bytes() for path in layout.urls.iterdir()}
    return settings, layout
