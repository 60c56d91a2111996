"""SQL over finished images: the view, what is written, and that nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import duckdb
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader import machine
from ray_downloader.errors import RunFolderError, UserError
from ray_downloader.run_folder.schemas import SERVER_NAME, SUCCESS_SCHEMA
from ray_downloader.tools import queries
from ray_downloader.tools.context import finished_batches
from ray_downloader.tools.queries import columns_of, images_database, write_csv, write_parquet
from tests.support.stored import LEGACY_SCHEMA, StoredRun, received, row, rows_of


@pytest.fixture
def connection(run: StoredRun) -> duckdb.DuckDBPyConnection:
    with images_database(run.root / "tool", finished_batches(run.layout.images)) as opened:
        yield opened


def test_each_row_knows_where_it_is(connection: duckdb.DuckDBPyConnection, run: StoredRun) -> None:
    rows = connection.execute("SELECT uuid, server_name, partition_id, row, file FROM images ORDER BY uuid").fetchall()
    first, second = (str(batch.path) for batch in finished_batches(run.layout.images))
    assert rows == [
        ("a", "a.example", 0, 0, first), ("b", "a.example", 0, 1, first), ("c", "a.example", 0, 2, first),
        ("d", "b.example:8080", 3, 0, second), ("e", "b.example:8080", 3, 1, second),
    ]  # fmt: skip


def test_rows_of_a_shared_folder_know_the_folder_and_their_server(run: StoredRun) -> None:
    pooled = pa.schema([*SUCCESS_SCHEMA, SERVER_NAME])
    run.add([{**row("p", received(5)), "server_name": "c.example"}], "pooled", 3, schema=pooled)
    with images_database(run.root / "tool", finished_batches(run.layout.images)) as connection:
        query = "SELECT uuid, server_name, partition_id, own_server FROM images WHERE uuid IN ('a', 'p') ORDER BY uuid"
        assert connection.execute(query).fetchall() == [
            ("a", "a.example", 0, "a.example"), ("p", "pooled", 3, "c.example"),
        ]  # fmt: skip


def test_files_of_both_projects_are_one_table(run: StoredRun) -> None:
    run.add([row("old", received(5), encode="raw")], "c.example", schema=LEGACY_SCHEMA)
    with images_database(run.root / "tool", finished_batches(run.layout.images)) as connection:
        counted = connection.execute("SELECT count(*), count(image_format) FROM images").fetchall()
        assert {"uuid", "image_format", "server_name"} <= columns_of(connection)
    assert counted == [(6, 5)]


def test_only_the_given_batches_are_seen_and_columns_are_those_of_the_table(run: StoredRun) -> None:
    _, second = finished_batches(run.layout.images)
    with images_database(run.root / "tool", [second]) as connection:
        assert connection.execute("SELECT uuid FROM images ORDER BY 1").fetchall() == [("d",), ("e",)]
        connection.execute("CREATE TEMP TABLE other (one INT, two INT)")
        assert columns_of(connection, "other") == {"one", "two"}


def test_a_query_becomes_a_csv_with_a_header(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = tmp_path / "it's.csv"
    assert write_csv(connection, "SELECT uuid, title FROM images ORDER BY uuid", path) == 5
    assert rows_of(path)[3] == {"uuid": "d", "title": "A | B"}
    assert write_csv(connection, "SELECT uuid FROM images WHERE false", path) == 0
    assert path.read_text("utf-8") == "uuid\n"


def test_a_query_becomes_parquet_in_its_order(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = tmp_path / "it's.parquet"
    rows = "SELECT range AS number FROM range(120000) ORDER BY number DESC"
    assert write_parquet(connection, rows, path) == 120_000
    file = pq.ParquetFile(path)
    assert file.read()["number"].to_pylist() == list(range(119_999, -1, -1))
    assert file.metadata.num_row_groups == 3, "one of 50,000 rows is read to find one"


def test_memory_is_bounded_and_what_does_not_fit_is_spilled_beside_the_results(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = []
    connect = duckdb.connect
    monkeypatch.setattr(queries.duckdb, "connect", lambda config: configs.append(config) or connect(config=config))
    for total_gib in (64, 3):
        memory = psutil.virtual_memory()._replace(total=total_gib << 30)
        monkeypatch.setattr(machine.psutil, "virtual_memory", lambda memory=memory: memory)
        with images_database(run.root / "tool", finished_batches(run.layout.images)):
            (run.root / "tool" / ".spill").mkdir(parents=True)
    assert [config["memory_limit"] for config in configs] == ["4096MiB", "1536MiB"]
    assert configs[0]["temp_directory"] == str(run.root / "tool" / ".spill")
    assert configs[0]["threads"] >= 1
    assert configs[0]["preserve_insertion_order"] is False
    assert not (run.root / "tool" / ".spill").exists()


def test_no_bar_is_drawn_and_the_database_is_closed(run: StoredRun) -> None:
    with images_database(run.root / "tool", finished_batches(run.layout.images)) as connection:
        setting = connection.execute("SELECT current_setting('enable_progress_bar')").fetchall()
    assert setting == [(False,)]
    with pytest.raises(duckdb.ConnectionException):
        connection.execute("SELECT 1")


def test_a_query_that_finds_no_memory_is_said_of_the_tool(run: StoredRun) -> None:
    refused = pytest.raises(UserError, match=f"^{run.root}/tool: this tool needs more memory than this process may use")
    with refused, images_database(run.root / "tool", finished_batches(run.layout.images)):
        raise duckdb.OutOfMemoryException("Allocation failure")


def test_a_damaged_table_is_one_sentence(run: StoredRun) -> None:
    batches = finished_batches(run.layout.images)
    with (
        pytest.raises(RunFolderError, match=r"stats: a table that it reads is damaged \(.*\); .* verify=true"),
        images_database(run.root / "stats", batches),
    ):
        raise duckdb.InvalidInputException("ZSTD Decompression failure\nmore")
    batches[0].path.write_bytes(b"PAR1" + bytes(9000))
    with (
        pytest.raises(RunFolderError, match=f"{batches[0].path}.*verify=true"),
        images_database(run.root / "stats", batches),
    ):
        pass
    with pytest.raises(duckdb.BinderException), images_database(run.root / "stats", batches[1:]) as connection:
        connection.execute("SELECT nothing FROM images")
