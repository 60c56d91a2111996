"""A stopped run reads all its batches once more only if there is time."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.config.settings import OutputStructure
from ray_downloader.output import time_left
from ray_downloader.output.time_left import may_read_all
from ray_downloader.run_folder.layout import RunLayout
from tests.support.partitioned import partitioned_run


def test_a_stopped_run_reads_only_so_many_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = partitioned_run(
        tmp_path, [f"http://{name}.example/1.jpg" for name in "ab"], downloader_parameters={"pool_below": 0}
    )[1]
    for most, is_enough in ((2, True), (1, False)):
        monkeypatch.setattr(time_left, "MOST_BATCHES_OF_A_STOPPED_RUN", most)
        assert may_read_all(layout, is_stopped=True) is is_enough
        assert may_read_all(layout, is_stopped=False)


def test_a_run_without_batches_has_nothing_to_read(tmp_path: Path) -> None:
    assert may_read_all(RunLayout(tmp_path, OutputStructure()), is_stopped=True)
