"""Rows of licences that are not wanted are rejected; each distinct text is judged once."""

from __future__ import annotations

import duckdb
import pytest

from ray_downloader.errors import UserError
from ray_downloader.partition import license_gate
from ray_downloader.partition.license_gate import reject_unwanted_licenses


@pytest.mark.parametrize("chunk_rows", [100_000, 1])
def test_others_and_none_are_rejected_and_earlier_reasons_count(
    monkeypatch: pytest.MonkeyPatch, chunk_rows: int
) -> None:
    monkeypatch.setattr(license_gate, "_CHUNK_ROWS", chunk_rows)
    judged: list[str | None] = []

    def is_wanted(text: str | None) -> bool:
        judged.append(text)
        return text is not None and text.startswith("CC")

    rows = [("CC0", None), ("all rights", None), (None, None), ("CC BY", None), ("CC0", None), ("secret", "bad_url")]
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE staged (license VARCHAR, reason VARCHAR)")
        connection.executemany("INSERT INTO staged VALUES (?, ?)", rows)
        reject_unwanted_licenses(connection, is_wanted)
        found = connection.sql("FROM staged").fetchall()
    assert found == [
        ("CC0", None), ("all rights", "license"), (None, "license"), ("CC BY", None), ("CC0", None),
        ("secret", "bad_url"),
    ]  # fmt: skip
    assert sorted(filter(None, judged)) == ["CC BY", "CC0", "all rights"]


def test_a_second_list_is_judged_anew() -> None:
    with duckdb.connect() as connection:
        for _ in range(2):
            connection.execute("CREATE OR REPLACE TABLE staged (license VARCHAR, reason VARCHAR)")
            connection.execute("INSERT INTO staged VALUES ('a', NULL)")
            reject_unwanted_licenses(connection, lambda _text: False)
            assert connection.sql("SELECT reason FROM staged").fetchall() == [("license",)]


def test_a_list_in_which_no_row_states_a_licence_is_refused_with_what_to_do() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE staged (license VARCHAR, reason VARCHAR)")
        connection.execute("INSERT INTO staged VALUES (NULL, NULL), ('CC0', 'bad_url')")
        with pytest.raises(UserError, match=r"no row of the list states a licence; name the column .*dataset\.columns"):
            reject_unwanted_licenses(connection, bool)


def test_where_every_row_has_been_rejected_before_no_licence_is_missing() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE staged (license VARCHAR, reason VARCHAR)")
        connection.execute("INSERT INTO staged VALUES (NULL, 'bad_url')")
        reject_unwanted_licenses(connection, bool)
        assert connection.sql("SELECT reason FROM staged").fetchall() == [("bad_url",)]
