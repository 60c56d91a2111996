"""EOL's manifest: its columns, and rows that cannot be downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.errors import UserError
from tests.support.lists import partitioned, real_data

EOL = {"name": "eol"}
HEADER = "EOL content ID,EOL page ID,Medium Source URL,EOL Full-Size Copy URL,License Name,Copyright Owner\n"


def test_the_manifest_is_read_by_its_published_header(tmp_path: Path) -> None:
    manifest = tmp_path / "media_manifest.csv"
    manifest.write_text(
        HEADER
        + '7,1,https://flickr.example/7,https://content.eol.org/data/7.jpg,cc-by,"Muir, John"\n'
        + "8,1,https://flickr.example/8,,cc-by,\n"
        + ",1,https://flickr.example/9,https://content.eol.org/data/9.jpg,cc-by,\n"
    )
    result = partitioned(manifest, tmp_path / "out", EOL)
    (row,) = result.rows()
    assert (row["source_id"], row["identifier"]) == ("7", "https://content.eol.org/data/7.jpg")
    assert (row["license"], row["creator"], row["source"]) == ("cc-by", "Muir, John", "https://flickr.example/7")
    assert result.summary.rejected_by_reason == {"no_identifier": 1, "no_source_id": 1}


def test_a_manifest_with_columns_renamed_already_is_read_too(tmp_path: Path) -> None:
    result = partitioned(real_data("lists/eol/eol_9842.snappy.parquet"), tmp_path / "out", EOL)
    assert result.summary.accepted_rows == 9842
    assert result.rows()[0]["uuid"] == "db22c073-300c-4e99-bbd6-e55e691ab098", "the list's own uuids are kept"


def test_another_list_is_told_what_the_manifest_looks_like(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("page,url\n1,http://a.example/1.jpg\n")
    with pytest.raises(UserError, match=r"no column 'EOL content ID'.*'EOL Full-Size Copy URL'"):
        partitioned(tmp_path / "list.csv", tmp_path / "out", EOL)
