"""One image is found by its uuid by reading one row group, among however many."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.errors import UserError
from ray_downloader.tools.image_index import ImageIndex, Place


@pytest.fixture
def index(tmp_path: Path) -> ImageIndex:
    """Uuids a, c, e, ... in row groups of two; each image is in a file of its own."""
    names = list("acegikm")
    table = {
        "uuid": names,
        "file": [f"{name}.parquet" for name in names],
        "row_group": [number % 2 for number in range(7)],
        "row": [1 - number % 2 for number in range(7)],
    }
    pq.write_table(pa.table(table), tmp_path / "index.parquet", row_group_size=2)
    (tmp_path / "images").mkdir()
    for number, name in enumerate(names):
        rows = ["x0", "x1", "x2", "x3"]
        rows[(number % 2) * 2 + (1 - number % 2)] = name
        pictures = pa.table({"uuid": rows, "image": [text.encode() for text in rows]})
        pq.write_table(pictures, tmp_path / "images" / f"{name}.parquet", row_group_size=2)
    return ImageIndex(tmp_path, tmp_path / "images")


def test_every_image_is_found_where_it_is(index: ImageIndex, tmp_path: Path) -> None:
    for number, name in enumerate("acegikm"):
        assert index.find(name) == Place(tmp_path / "images" / f"{name}.parquet", number % 2, 1 - number % 2)
        assert index.get(name) == {"uuid": name, "image": name.encode()}


@pytest.mark.parametrize("uuid", ["A", "b", "d", "n", "", "aa"])
def test_what_is_before_between_or_behind_is_not_there(index: ImageIndex, uuid: str) -> None:
    assert index.find(uuid) is None
    assert index.get(uuid) is None


def test_uuids_too_long_for_the_limits_of_their_group_are_found(tmp_path: Path) -> None:
    names = ["a" * 5_000, "b" * 5_000]
    table = pa.table({"uuid": names, "file": ["1.parquet", "2.parquet"], "row_group": [0, 3], "row": [1, 2]})
    pq.write_table(table, tmp_path / "index.parquet")
    limits = pq.read_metadata(tmp_path / "index.parquet").row_group(0).column(0).statistics
    assert limits is not None and not limits.has_min_max
    index = ImageIndex(tmp_path, tmp_path)
    assert index.find("b" * 5_000) == Place(tmp_path / "2.parquet", 3, 2)
    assert index.find("b") is None


def test_uuids_without_statistics_are_found(tmp_path: Path) -> None:
    table = pa.table({"uuid": ["a", "b"], "file": ["1.parquet", "2.parquet"], "row_group": [0, 3], "row": [1, 2]})
    pq.write_table(table, tmp_path / "index.parquet", write_statistics=False)
    assert ImageIndex(tmp_path, tmp_path).find("b") == Place(tmp_path / "2.parquet", 3, 2)


def test_a_file_that_changed_is_told_from_an_image_that_is_not_there(index: ImageIndex, tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"uuid": ["y"] * 4, "image": [b""] * 4}), tmp_path / "images" / "c.parquet", row_group_size=2
    )
    with pytest.raises(UserError, match=r"c\.parquet changed after it was indexed; run tool=lookup again"):
        index.get("c")


def test_without_an_index_the_tool_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run tool=lookup first"):
        ImageIndex(tmp_path, tmp_path)
