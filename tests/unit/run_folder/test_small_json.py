"""JSON that may be damaged: whatever is wrong with it is one kind of error."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ray_downloader.errors import RunFolderError
from ray_downloader.run_folder.small_json import parse_json, parse_object, read_object


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("NaN", "NaN is not a number"),
        ('{"a": [-Infinity]}', "-Infinity is not a number"),
        ("[1e999]", "1e999 is not a number"),
        (r'{"a": "\ud800"}', "half a character"),
        (r'{"\uDFFF": 1}', "half a character"),
        ("{", "Expecting property name"),
        (b"\xff{}", "utf-8"),
        ("9" * 5_000, "digits"),
    ],
    ids=["brackets", "braces", "nan", "infinity", "large", "half", "half in a key", "torn", "bytes", "digits"],
)
def test_whatever_is_wrong_is_a_value_error(text: str | bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_json(text)


def test_what_is_right_is_as_it_was_written() -> None:
    assert parse_json(r'[1, -2.5, 1e3, null, true, "\ud83d\ude00", "\\ud800"]') == [
        1, -2.5, 1000.0, None, True, "\U0001f600", "\\ud800",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["[]", "7", "null", '"x"'])
def test_an_object_is_expected(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a JSON object"):
        parse_object(text)
    (tmp_path / "file").write_text(text)
    with pytest.raises(ValueError, match="not a JSON object"):
        read_object(tmp_path / "file")


def test_a_file_without_content_is_empty(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(" \n")
    with pytest.raises(ValueError, match="it is empty"):
        read_object(tmp_path / "file")
    with pytest.raises(FileNotFoundError):
        read_object(tmp_path / "gone")


def test_numbers_are_as_they_were_written_beside_a_large_one() -> None:
    assert parse_json("[1e300, 0.5, -2.25E-1, 7]") == [1e300, 0.5, -0.225, 7]


def test_a_file_that_is_out_of_reach_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(*_: object) -> str:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Path, "read_text", stale)
    with pytest.raises(RunFolderError, match="Stale file handle"):
        read_object(tmp_path / "run.json")


def test_an_object_is_returned_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text('{"a": {"b": [1]}}')
    assert read_object(tmp_path / "file") == parse_object('{"a": {"b": [1]}}') == {"a": {"b": [1]}}
