"""What an earlier collection has is named, by hash or by URL."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.errors import UserError
from tests.support.stored import OLDER_SCHEMA, StoredRun, received, row, rows_of, run_here


def named(run: StoredRun, **parameters: str) -> list[str]:
    run_here(run.tool("merge_base", **parameters))
    rows = rows_of(run.layout.tools / "merge_base" / "filter_table" / "rows.csv")
    return sorted(one["uuid"] for one in rows)


def test_a_run_of_the_older_project_is_a_base_by_hash(run: StoredRun, tmp_path: Path) -> None:
    base = StoredRun(tmp_path / "base")
    base.add([row("other", received(1), encode="raw")], schema=OLDER_SCHEMA)
    assert named(run, base=str(base.root)) == ["a", "c", "d"]


def test_parquet_files_are_a_base_by_url(run: StoredRun, tmp_path: Path) -> None:
    pq.write_table(pa.table({"identifier": ["http://a.example/b.jpg"]}), tmp_path / "have.parquet")
    assert named(run, base=str(tmp_path / "*.parquet"), match="url") == ["b"]
    with pytest.raises(UserError, match="no column 'hashsum_original'"):
        named(run, base=str(tmp_path / "have.parquet"))


@pytest.mark.parametrize(("base", "sentence"), [("", "base is required"), ("/nowhere", "holds no images")])
def test_a_base_has_to_be_there(run: StoredRun, base: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        named(run, base=base)
