"""Checksums and sizes of a list, in every spelling, become one form."""

from __future__ import annotations

import base64
import hashlib

import duckdb
import pytest

from ray_downloader.partition.listed import listed_sql

MD5 = hashlib.md5(b"x").hexdigest()
SHA256 = hashlib.sha256(b"x").hexdigest()


def listed(**columns: str | None) -> tuple[str | None, int | None]:
    sql = listed_sql(columns)
    names = ", ".join(f"?::VARCHAR AS {name}" for name in columns) or "1"
    with duckdb.connect() as connection:
        query = f"SELECT {sql['checksum']}, {sql['size_bytes']} FROM (SELECT {names})"
        (row,) = connection.execute(query, list(columns.values())).fetchall()
    return row


@pytest.mark.parametrize(
    "text",
    [
        MD5, MD5.upper(), f"md5:{MD5}", f"MD5={MD5}", f"md5-{MD5}",
        base64.b64encode(hashlib.md5(b"x").digest()).decode(),
        "md5-" + base64.b64encode(hashlib.md5(b"x").digest()).decode(),
    ],
)  # fmt: skip
def test_a_checksum_is_read_in_hexadecimal_and_base64_with_or_without_its_name(text: str) -> None:
    assert listed(md5=text) == (f"md5:{MD5}", None)


def test_the_longest_of_several_counts_and_the_next_where_it_is_missing() -> None:
    assert listed(md5=MD5, sha256=SHA256)[0] == f"sha256:{SHA256}"
    assert listed(md5=MD5, sha256="n/a")[0] == f"md5:{MD5}"
    assert listed(sha1=hashlib.sha1(b"x").hexdigest(), md5=MD5)[0] == "sha1:" + hashlib.sha1(b"x").hexdigest()
    assert listed(sha256="SHA-256:" + SHA256)[0] == f"sha256:{SHA256}"
    assert listed(sha256="0x" + SHA256)[0] == f"sha256:{SHA256}"
    sha = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    assert listed(sha256=sha)[0] == f"sha256:{SHA256}"
    assert (
        listed(sha1=base64.b64encode(hashlib.sha1(b"x").digest()).decode())[0]
        == listed(sha1=hashlib.sha1(b"x").hexdigest())[0]
    )


@pytest.mark.parametrize("text", ["", "-", "NA", "None", "null", None])
def test_what_stands_for_nothing_is_nothing(text: str | None) -> None:
    assert listed(md5=text, bytes=text) == (None, None)


def test_a_text_that_is_no_checksum_is_kept_for_no_file_to_agree_with() -> None:
    assert listed(md5="Not-A-Hash")[0] == "md5:not-a-hash"


@pytest.mark.parametrize(("text", "size"), [("123", 123), ("123.0", 123), ("1e3", 1000), ("many", None)])
def test_a_size_is_a_number_however_it_is_written(text: str, size: int | None) -> None:
    assert listed(bytes=text) == (None, size)


def test_without_such_columns_nothing_is_listed() -> None:
    assert listed() == (None, None)
