"""Small tables: what is damaged is noticed, and they are read without what takes long to import."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.errors import DamagedFileError, RunFolderError
from ray_downloader.run_folder.small_tables import read_as, read_small_table, reading, write_small_table


def test_columns_are_read_in_the_order_in_which_they_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "servers.parquet"
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", None], "c": [0.5, 1.5]}), path)
    assert read_small_table(path, ["c", "a"]).to_pydict() == {"c": [0.5, 1.5], "a": [1, 2]}


def test_a_column_that_an_earlier_version_did_not_write_is_null(tmp_path: Path) -> None:
    path = tmp_path / "batches.parquet"
    pq.write_table(pa.table({"a": pa.array([1, 2], pa.int64()), "odd": ["x", "y"]}), path)
    schema = pa.schema([("new", pa.string()), ("a", pa.int32())])
    table = read_as(path, schema)
    assert table.schema == schema
    assert table.to_pydict() == {"new": [None, None], "a": [1, 2]}


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (pa.table({"odd": [1]}), "it has no column 'new'"),
        (pa.table({"a": ["one"]}), "one"),
    ],
    ids=["another table", "values of another type"],
)
def test_a_table_that_is_another_one_is_damaged(tmp_path: Path, table: pa.Table, why: str) -> None:
    path = tmp_path / "batches.parquet"
    pq.write_table(table, path)
    with pytest.raises(DamagedFileError, match=why) as damage:
        read_as(path, pa.schema([("new", pa.string()), ("a", pa.int32())]))
    assert damage.value.path == str(path)


def test_a_table_that_is_not_there_is_said_not_to_be(tmp_path: Path) -> None:
    """Whoever reads it knows what that means: nothing is damaged."""
    with pytest.raises(FileNotFoundError):
        read_small_table(tmp_path / "servers.parquet", ["a"])


def test_a_table_without_the_wanted_column_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "servers.parquet"
    pq.write_table(pa.table({"a": [1, 2]}), path)
    with pytest.raises(DamagedFileError, match=r"servers\.parquet is damaged"):
        read_small_table(path, ["b"])


def test_a_table_that_is_out_of_reach_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="Stale file handle") as failure, reading(tmp_path / "servers.parquet"):
        raise OSError(errno.ESTALE, "Stale file handle")
    assert not isinstance(failure.value, DamagedFileError)
    with pytest.raises(DamagedFileError, match=r"servers\.parquet is damaged"), reading(tmp_path / "servers.parquet"):
        raise OSError("Repetition level histogram size mismatch")


def test_pandas_is_not_imported(tmp_path: Path) -> None:
    path = tmp_path / "servers.parquet"
    pq.write_table(pa.table({"a": [1, 2]}), path)
    code = (
        "import sys; from pathlib import Path; from ray_downloader.run_folder.small_tables import read_small_table; "
        f"read_small_table(Path({str(path)!r}), ['a']); print('pandas' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_anywhere_is_noticed_or_changes_nothing(tmp_path: Path, bit: int) -> None:
    path = tmp_path / "servers.parquet"
    table = pa.table({"server_name": ["a.example", "b.example"], "rows": [7, 11]})
    write_small_table(path, table)
    content = path.read_bytes()
    noticed = 0
    for place in range(bit, len(content), 2):
        path.write_bytes(content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :])
        try:
            assert read_small_table(path, ["server_name", "rows"]).equals(table), place
            assert read_as(path, table.schema).equals(table), place
        except DamagedFileError:
            noticed += 1
    assert noticed > len(content) / 8


def test_tables_without_checksums_or_a_second_description_are_read(tmp_path: Path) -> None:
    path = tmp_path / "servers.parquet"
    pq.write_table(pa.table({"a": [1, 2]}), path, store_schema=False)
    assert read_small_table(path, ["a"]).to_pydict() == {"a": [1, 2]}
