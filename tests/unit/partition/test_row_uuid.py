"""The uuid of a row is the same in Python and SQL, and in every run."""

from __future__ import annotations

import uuid

import duckdb
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.partition.row_uuid import NAMESPACE, ROW_UUID_MACRO, row_uuid

_DATABASE = duckdb.connect()
_DATABASE.execute(ROW_UUID_MACRO)
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)


def test_the_namespace_is_what_its_comment_says() -> None:
    assert uuid.uuid5(uuid.NAMESPACE_DNS, "ray-downloader") == NAMESPACE


def test_a_row_keeps_its_uuid_for_ever() -> None:
    assert row_uuid("899687813", "https://example.org/ü.jpg") == "1d8a2d0d-f665-5376-9eb4-8609db2ddcb2"
    assert row_uuid(None, "u") == row_uuid("", "u") != row_uuid("u", "")


@given(st.lists(st.tuples(st.none() | _TEXT, _TEXT), min_size=1, max_size=20))
def test_sql_and_python_agree(rows: list[tuple[str | None, str]]) -> None:
    sources, identifiers = (list(column) for column in zip(*rows, strict=True))
    _DATABASE.execute("CREATE OR REPLACE TABLE t (source_id VARCHAR, identifier VARCHAR)")
    _DATABASE.execute("INSERT INTO t SELECT unnest(?::VARCHAR[]), unnest(?::VARCHAR[])", [sources, identifiers])
    found = _DATABASE.execute("SELECT row_uuid(source_id, identifier), source_id, identifier FROM t").fetchall()
    assert [row[0] for row in found] == [row_uuid(*row[1:]) for row in found]
