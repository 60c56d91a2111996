"""What the partition counted is there for a run that is continued."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ray_downloader.config.settings import OutputStructure
from ray_downloader.errors import UserError
from ray_downloader.partition.summary import PartitionSummary, load_partition_summary, save_partition_summary
from ray_downloader.run_folder.layout import RunLayout


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    summary = PartitionSummary(10, 7, {"bad_url": 3}, 2, 4, "gbif", ("a table", "another"))
    save_partition_summary(layout, summary)
    assert load_partition_summary(layout) == summary
    text = (layout.urls / "partition.json").read_text("utf-8")
    assert text.startswith('{\n  "input_rows": 10,')
    assert text.endswith("}\n")


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    layout.urls.mkdir()
    known = {"input_rows": 1, "accepted_rows": 1, "rejected_by_reason": {}, "servers": 1, "batches": 1}
    (layout.urls / "partition.json").write_text(json.dumps(known))
    assert load_partition_summary(layout) == PartitionSummary(1, 1, {}, 1, 1, "", ())


def test_without_the_file_the_stage_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run the partition stage first"):
        load_partition_summary(RunLayout(tmp_path, OutputStructure()))
