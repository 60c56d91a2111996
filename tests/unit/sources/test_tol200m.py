"""The catalog of TreeOfLife-200M: parts of it, and servers that are left out."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.errors import UserError
from tests.support.lists import Partitioned, partitioned

ROWS = [
    ("u1", "1", "gbif", "http://a.example/1.jpg"),
    ("u2", "2", "eol", "https://content.eol.org/2.jpg"),
    ("u3", "3", "gbif", "http://user@B.example:80/3.jpg"),
    ("u4", "4", "gbif", "http://b.example:8080/4.jpg"),
]


def _run(tmp_path: Path, **dataset: object) -> Partitioned:
    names = ["uuid", "source_id", "data_source", "source_url"]
    pq.write_table(pa.table(dict(zip(names, zip(*ROWS, strict=True), strict=True))), tmp_path / "catalog.parquet")
    return partitioned(tmp_path / "catalog.parquet", tmp_path / "out", {"name": "tol200m", **dataset})


def test_the_whole_catalog_keeps_its_uuids(tmp_path: Path) -> None:
    assert sorted(row["uuid"] for row in _run(tmp_path).rows()) == ["u1", "u2", "u3", "u4"]


def test_only_the_chosen_data_sources_are_downloaded(tmp_path: Path) -> None:
    result = _run(tmp_path, data_sources="GBIF")
    assert sorted(row["uuid"] for row in result.rows()) == ["u1", "u3", "u4"]
    assert result.summary.rejected_by_reason == {"other_data_source": 1}


def test_excluded_servers_are_known_in_any_spelling(tmp_path: Path) -> None:
    (tmp_path / "excluded.csv").write_text("server_name,why\nB.Example,slow\n")
    result = _run(tmp_path, excluded_servers=str(tmp_path / "excluded.csv"))
    assert [(row["source_id"], row["reason"]) for row in result.rejected()] == [("3", "excluded_server")]


@pytest.mark.parametrize(("content", "sentence"), [(None, "cannot be read"), ("host\na\n", "needs a column")])
def test_a_wrong_file_of_excluded_servers_is_named(tmp_path: Path, content: str | None, sentence: str) -> None:
    path = tmp_path / "excluded.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=sentence):
        _run(tmp_path, excluded_servers=str(path))
