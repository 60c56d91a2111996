"""What the partition counted is there for a run that is continued."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from ray_downloader.config.settings import OutputStructure
from ray_downloader.errors import DamagedFileError, RunFolderError, UserError
from ray_downloader.partition import summary as summary_module
from ray_downloader.partition.summary import (
    PartitionSummary,
    load_partition_summary,
    read_partition_summary,
    save_partition_summary,
)
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


@pytest.mark.parametrize("text", ["", "[]", "{", '{"input_rows": 1}', '{"input_rows": []}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    layout.urls.mkdir()
    layout.partition_summary_file.write_text(text)
    with pytest.raises(DamagedFileError) as caught:
        load_partition_summary(layout)
    assert caught.value.path == str(layout.partition_summary_file)


def test_a_count_that_is_none_is_said_of_the_content(tmp_path: Path) -> None:
    path = tmp_path / "partition.json"
    path.write_text(json.dumps({"input_rows": 1, "accepted_rows": 1, "rejected_by_reason": [], "servers": 1}))
    with pytest.raises(ValueError, match="unexpected content"):
        read_partition_summary(path)


def test_a_file_that_is_out_of_reach_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise OSError(errno.ESTALE, "Stale file handle", str(path))

    monkeypatch.setattr(summary_module, "read_object", fail)
    with pytest.raises(RunFolderError, match="Stale file handle") as caught:
        load_partition_summary(RunLayout(tmp_path, OutputStructure()))
    assert not isinstance(caught.value, DamagedFileError)
