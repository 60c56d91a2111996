"""Bodies on scratch: written and read in pieces, and gone with their last descriptor."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ray_downloader import spill
from ray_downloader.spill import BodyFile, read_descriptor


def test_a_body_is_read_as_it_was_written_and_leaves_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "_READ_BYTES", 4)
    file = BodyFile(tmp_path)
    for piece in (b"abc", b"", b"defgh", b"i"):
        file.write(piece)
    assert (len(file), repr(file)) == (9, "<BodyFile of 9 bytes>")
    assert list(file.pieces()) == [b"abcd", b"efgh", b"i"]
    assert read_descriptor(file.descriptor) == b"abcdefghi"
    assert list(tmp_path.iterdir()) == []
    file.close()


def test_its_space_is_reported_free_once(tmp_path: Path) -> None:
    freed: list[int] = []
    file = BodyFile(tmp_path, freed.append)
    file.write(b"abc")
    file.close()
    file.close()
    del file
    assert freed == [3]
    forgotten = BodyFile(tmp_path, freed.append)
    forgotten.write(b"ab")
    del forgotten
    assert freed == [3, 2], "also that of a body that nobody closed"


def test_a_file_that_becomes_shorter_while_it_is_read_is_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"abc")
    with path.open("rb") as file:
        stat = os.fstat(file.fileno())
        longer = os.stat_result((*stat[:6], 10, *stat[7:]))
        monkeypatch.setattr(os, "fstat", lambda _: longer)
        assert read_descriptor(file.fileno()) == b"abc"
