"""A file appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.config.settings import OutputStructure
from ray_downloader.run_folder.atomic import replacing, write_text
from ray_downloader.run_folder.layout import RunLayout, folder_name


def test_a_failed_write_leaves_the_old_file_and_no_temp_file(tmp_path: Path) -> None:
    path = tmp_path / "table.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temp:
        temp.write_text("half", "utf-8")
        raise ZeroDivisionError
    assert path.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_batch_folder_spells_a_port_as_folders_can(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure(images_folder="pictures"))
    assert folder_name("[::1]:8080") == "[%3A%3A1]%3A8080"
    assert layout.batch_folder("a.example:8080", 3) == tmp_path / "pictures/server_name=a.example%3A8080/partition_id=3"
