"""What is known about a parquet file that was written, and which of its rows are still as they were."""

from __future__ import annotations

import errno
import random
from collections.abc import Sequence
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.errors import RunFolderError
from ray_downloader.output.stored_file import FileFacts, end_problem, sound_rows
from tests.support.out_of_reach import no_more_files

PICTURES = [random.Random(row).randbytes(200) for row in range(6)]
CHECKSUMS = [md5(picture).hexdigest() for picture in PICTURES]
NAMES = [f"row-{row}" for row in range(6)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.parquet"


def write(path: Path, **columns: Sequence[object]) -> None:
    """Two row groups, plainly encoded, with checksums of the pages."""
    pq.write_table(
        pa.table(columns),
        path,
        row_group_size=3,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )


def damage(path: Path, part: bytes) -> None:
    """Change the first byte of the file that these bytes begin with."""
    content = bytearray(path.read_bytes())
    content[content.index(part)] ^= 1
    path.write_bytes(content)


def found(path: Path, columns: Sequence[str] | None = None) -> list[dict[str, object]]:
    return [row for batch in sound_rows(path, columns) for row in batch.to_pylist()]


def test_facts_are_kept_as_json_and_those_of_later_versions_are_left_out(path: Path) -> None:
    write(path, name=NAMES)
    facts = FileFacts.of(path, 6)
    assert (facts.rows, facts.size_bytes) == (6, path.stat().st_size)
    assert FileFacts.parse({**facts.to_dict(), "signature": "x"}) == facts
    assert facts.problem(path) == "" and facts.is_content_of(path)
    with pytest.raises(KeyError):
        FileFacts.parse({"rows": 6})


def test_each_way_to_be_wrong_has_a_sentence_that_names_the_file(path: Path, tmp_path: Path) -> None:
    write(path, name=NAMES)
    facts = FileFacts.of(path, 6)
    sound = path.read_bytes()
    path.write_bytes(sound + b"x")
    assert facts.problem(path) == f"{path} has {len(sound) + 1} bytes instead of {len(sound)}"
    assert not facts.is_content_of(path)
    path.write_bytes(sound[:-20] + bytes(12) + sound[-8:])
    assert facts.problem(path) == f"{path} is damaged at its end"
    assert end_problem(path) == "", "its end says how long the footer is; only a checksum knows what was in it"
    path.write_bytes(sound[:-1] + b"2")
    assert facts.problem(path) == end_problem(path) == f"{path} is damaged at its end"
    path.unlink()
    assert facts.problem(path) == end_problem(path) == f"{path} is missing"
    assert not facts.is_content_of(path)
    folder = replace(facts, size_bytes=tmp_path.stat().st_size)
    assert folder.problem(tmp_path) == end_problem(tmp_path) == f"{tmp_path} cannot be read (Is a directory)"
    assert not folder.is_content_of(tmp_path)


@pytest.mark.parametrize(
    ("content", "is_whole"),
    [
        (b"PAR1" + b"meta" + b"\4\0\0\0PAR1", True),
        (b"PAR1" + b"meta" + b"\5\0\0\0PAR1", False),
        (b"PAR1" + b"\0\0\0\0PAR1", True),
        (b"AR1" + b"\0\0\0\0PAR1", False),
        (b"PAR1" + b"meta" + b"\4\0\0\1PAR1", False),
        (b"PAR1" + b"2", False),
        (b"", False),
    ],
    ids=[
        "a footer after the first bytes",
        "a footer that would begin within them",
        "no footer",
        "too short",
        "a footer of 16 MB",
        "half an end",
        "empty",
    ],
)
def test_the_end_of_a_file_says_where_its_footer_begins(path: Path, content: bytes, is_whole: bool) -> None:
    path.write_bytes(content)
    assert end_problem(path) == ("" if is_whole else f"{path} is damaged at its end")


def test_all_rows_of_a_sound_file_are_sound_also_those_without_a_picture(path: Path) -> None:
    write(path, name=NAMES, image=[*PICTURES[:5], None], hashsum_resized=[*CHECKSUMS[:5], None])
    assert [row["name"] for row in found(path)] == NAMES
    assert found(path, ["name"]) == [{"name": name} for name in NAMES]
    assert list(found(path)[0]) == ["name", "image", "hashsum_resized"]


def test_damage_of_a_picture_costs_its_row_and_damage_elsewhere_its_group(path: Path) -> None:
    write(path, name=NAMES, image=PICTURES, hashsum_resized=CHECKSUMS)
    damage(path, PICTURES[1])
    assert [row["name"] for row in found(path)] == [NAMES[row] for row in (0, 2, 3, 4, 5)]
    damage(path, NAMES[4].encode())
    assert [row["name"] for row in found(path)] == [NAMES[row] for row in (0, 2)]


@pytest.mark.parametrize("lost", ["picture", "checksum"])
def test_a_row_that_has_one_of_picture_and_checksum_only_is_sound_without_a_checksum(path: Path, lost: str) -> None:
    pictures = [None, *PICTURES[1:]] if lost == "picture" else PICTURES
    checksums = [None, *CHECKSUMS[1:]] if lost == "checksum" else CHECKSUMS
    write(path, name=NAMES, image=pictures, hashsum_resized=checksums)
    assert [row["name"] for row in found(path)] == (NAMES[1:] if lost == "picture" else NAMES)


@pytest.mark.parametrize("column", ["image", "hashsum_resized"])
def test_a_table_with_only_one_of_both_columns_is_checked_by_its_pages(path: Path, column: str) -> None:
    values = {"image": PICTURES, "hashsum_resized": CHECKSUMS}[column]
    write(path, name=NAMES, **{column: values})
    assert [row["name"] for row in found(path)] == NAMES
    first = values[0]
    damage(path, first if isinstance(first, bytes) else first.encode())
    assert [row["name"] for row in found(path)] == NAMES[3:]


def test_a_file_that_cannot_be_read_has_no_sound_rows(path: Path) -> None:
    assert found(path) == []
    path.write_bytes(b"noise" * 100)
    assert found(path) == []


def test_a_file_out_of_reach_is_not_called_damaged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, name=NAMES)
    facts = FileFacts.of(path, 6)
    for read in (facts.problem, facts.is_content_of, end_problem, found):
        with no_more_files(), pytest.raises(RunFolderError, match="too many files are open"):
            read(path)

    def stale(*_: object) -> pa.Table:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", stale)
    with pytest.raises(RunFolderError, match="Stale file handle"):
        found(path)


def test_a_table_without_the_text_that_such_a_table_has_has_no_rows(path: Path) -> None:
    write(path, uuid=NAMES, number=range(6))
    assert [row for batch in sound_rows(path, ["uuid"], needed=["uuid"]) for row in batch["uuid"].to_pylist()] == NAMES
    for needed in (["number"], ["uuid", "identifier"]):
        assert list(sound_rows(path, needed=needed)) == []
