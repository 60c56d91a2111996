"""A finished batch with damage is named, keeps its sound rows, and gets back what it has lost: at every place."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import md5
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.errors import RunFolderError
from ray_downloader.output.batch_folder import BatchFolder, accept_version
from ray_downloader.output.journal import Journal, Rows
from ray_downloader.output.parquet import picture_notes
from ray_downloader.output.stored_file import FileFacts, end_problem, sound_rows
from ray_downloader.output.verify import verify
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES
from tests.support.out_of_reach import no_more_files
from tests.unit.output.test_batch_folder import IMAGE, batch_inputs, error

pytestmark = pytest.mark.stage

ROWS = 250


def picture(row: int) -> bytes:
    return random.Random(row).randbytes(300)


def settle(folder: BatchFolder, rows: list[int], attempt: str, note: str = "") -> None:
    """Every tenth row is an error."""
    inputs = batch_inputs(ROWS)
    with Journal(folder.path, attempt, (), note) as journal:
        for row in rows:
            if row % 10:
                made = replace(IMAGE, image=picture(row), hashsum_resized=md5(picture(row)).hexdigest())
                journal.add_image(Rows(inputs, [row], [row]), made)
            else:
                journal.add_error(Rows(inputs, [row], [row]), error())


#: Of the folder, which its marker confirms.
NAME = "server_name=a.example/partition_id=0"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = BatchFolder(tmp_path_factory.mktemp("run") / NAME)
    settle(folder, list(range(ROWS)), "one", '{"size": 1}')
    folder.publish(batch_inputs(ROWS))
    return folder.path


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> BatchFolder:
    shutil.copytree(finished, tmp_path / NAME)
    return BatchFolder(tmp_path / NAME)


def is_as_it_was(folder: BatchFolder) -> bool:
    successes, errors = pq.read_table(folder.path / SUCCESSES), pq.read_table(folder.path / ERRORS)
    expected = {f"uuid-{row}": picture(row) for row in range(ROWS) if row % 10}
    rows = successes.to_pylist()
    return (
        {row["uuid"]: row["image"] for row in rows} == expected
        and len(rows) == len(expected)
        and all(md5(row["image"]).hexdigest() == row["hashsum_resized"] for row in rows)
        and sorted(errors["uuid"].to_pylist()) == sorted(f"uuid-{row}" for row in range(0, ROWS, 10))
        and all(row["source_id"] == row["uuid"].replace("uuid", "id") for row in (*rows, *errors.to_pylist()))
        and all(has_one_value(successes, name) for name in ("source", "license", "final_url", "fetched_at"))
        and all(has_one_value(errors, name) for name in ("error_kind", "error_msg", "http_status", "fetched_at"))
    )


def has_one_value(table: pa.Table, column: str) -> bool:
    """Whether each row has the same value, as those that `settle` makes."""
    values = table[column]
    return values.null_count == 0 and len(values.unique()) == 1


def mend(folder: BatchFolder) -> int:
    """Fetch what is left and publish; returns the number of rows that were left."""
    settled = folder.settled(batch_inputs(ROWS))
    left = [row for row in range(ROWS) if row not in settled]
    settle(folder, left, "again")
    folder.publish(batch_inputs(ROWS))
    assert is_as_it_was(folder)
    assert not folder.problems() and not folder.verify() and folder.final_counts() is not None
    return len(left)


def test_a_marker_knows_the_size_and_checksum_of_both_tables(folder: BatchFolder) -> None:
    marker = json.loads((folder.path / "_completed").read_text())
    assert marker["rows"] == ROWS
    for name, rows in ((SUCCESSES, 225), (ERRORS, 25)):
        (facts,) = marker["files"][name]
        content = (folder.path / name).read_bytes()
        assert (facts["rows"], facts["size_bytes"]) == (rows, len(content))
        assert len(facts["sha256"]) == 64 and len(facts["footer_crc32"]) == 8
    assert folder.verify() == [] and folder.problems() == []


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 100)


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"PAR1")


def noise(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def flip_footer(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(content)


DAMAGES: list[Callable[[Path], None]] = [
    Path.unlink, truncate, grow, noise, flip_footer, lambda path: path.write_bytes(b""),
]  # fmt: skip
IDS = ["deleted", "truncated", "grown", "noise", "footer", "empty"]


@pytest.mark.parametrize("name", [SUCCESSES, ERRORS])
@pytest.mark.parametrize("damage", DAMAGES, ids=IDS)
def test_every_scan_sees_that_a_table_is_not_the_one_that_was_written(
    folder: BatchFolder, damage: Callable[[Path], None], name: str
) -> None:
    damage(folder.path / name)
    assert folder.final_counts() is None
    (problem,) = folder.problems()
    assert str(folder.path / name) in problem
    left = mend(folder)
    assert left <= (225 if name == SUCCESSES else 25)
    assert left or damage is grow or damage is flip_footer


@pytest.mark.parametrize("marker", ["", "{", "[]", "\0" * 40, '{"servers": 3}', '{"servers": {"x": {"dns": "one"}}}'])
def test_a_damaged_marker_costs_no_row(folder: BatchFolder, marker: str) -> None:
    (folder.path / "_completed").write_text(marker)
    assert folder.final_counts() is None
    assert folder.problems() == [f"{folder.path / '_completed'} is damaged"]
    assert mend(folder) == 0


def test_a_flipped_bit_anywhere_in_a_marker_is_noticed_or_changes_nothing(folder: BatchFolder) -> None:
    path, counts = folder.path / "_completed", folder.counts()
    content = path.read_bytes()
    assert counts is not None
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ (1 << place % 7)]) + content[place + 1 :])
        found = folder.counts()
        assert found is None or found.to_json() == counts.to_json(), place
        assert found is not None or folder.problems() == [f"{path} is damaged"]
    path.write_bytes(content)
    assert folder.counts() == counts and not folder.problems()


def test_a_batch_of_an_earlier_version_counts_as_long_as_its_tables_look_whole(folder: BatchFolder) -> None:
    marker = json.loads((folder.path / "_completed").read_text())
    del marker["files"], marker["crc32"]
    (folder.path / "_completed").unlink()
    (folder.path / "completed").write_text(json.dumps(marker))
    assert folder.final_counts() is not None and folder.verify() == []
    truncate(folder.path / SUCCESSES)
    assert folder.final_counts() is None
    assert mend(folder) == 225
    assert not (folder.path / "completed").exists()


def flip(folder: BatchFolder, name: str, content: bytes, place: int, bits: int) -> None:
    """Write a table with these bits of one byte flipped."""
    damaged = bytearray(content)
    damaged[place] ^= bits
    (folder.path / name).write_bytes(damaged)


@pytest.mark.parametrize("name", [SUCCESSES, ERRORS])
def test_flipped_bytes_are_found_by_verify_and_cost_the_rows_that_they_hit(folder: BatchFolder, name: str) -> None:
    content = (folder.path / name).read_bytes()
    marker = (folder.path / "_completed").read_bytes()
    for place in range(5, len(content) - 8, len(content) // 40):
        flip(folder, name, content, place, 0x10)
        (folder.path / "_completed").write_bytes(marker)
        (problems,) = verify([folder.path])
        assert len(problems) == 1 and str(folder.path / name) in problems[0], place
        assert folder.final_counts() is None
        mend(folder)


@pytest.mark.parametrize("name", [SUCCESSES, ERRORS])
def test_a_flipped_bit_in_a_footer_costs_no_column(folder: BatchFolder, name: str) -> None:
    content = (folder.path / name).read_bytes()
    marker = (folder.path / "_completed").read_bytes()
    begin = len(content) - int.from_bytes(content[-8:-4], "little")
    named = (b"source_id", b"fetched_at", *((b'["{',) if name == SUCCESSES else ()))  # the last one begins the notes
    places = [content.index(one, begin) for one in named]
    for place in [*places, *range(begin, len(content), (len(content) - begin) // 20)]:
        flip(folder, name, content, place, 0x08)
        (folder.path / "_completed").write_bytes(marker)
        (problems,) = verify([folder.path])
        assert len(problems) == 1 and str(folder.path / name) in problems[0], place
        mend(folder)


def test_a_damaged_picture_costs_one_row(folder: BatchFolder) -> None:
    content = (folder.path / SUCCESSES).read_bytes()
    damaged = bytearray(content)
    damaged[content.index(picture(17)) + 150] ^= 1
    (folder.path / SUCCESSES).write_bytes(damaged)
    assert folder.problems() == [], "not visible without reading everything"
    assert verify_one(folder) == [f"{folder.path / SUCCESSES}: 1 of its 225 rows are damaged"]
    assert set(range(ROWS)) - set(folder.settled(batch_inputs(ROWS))) == {17}
    assert mend(folder) == 1


def verify_one(folder: BatchFolder) -> list[str]:
    (problems,) = verify([folder.path])
    return problems


def test_a_table_that_a_tool_replaces_is_confirmed_before_and_after(folder: BatchFolder, tmp_path: Path) -> None:
    path = folder.path / SUCCESSES
    new = tmp_path / "new.parquet"
    pq.write_table(pq.read_table(path).slice(3), new)
    accept_version(folder.path, SUCCESSES, new, 222)
    accept_version(folder.path, SUCCESSES, new, 222)
    assert folder.final_counts() is not None
    old = path.rename(tmp_path / "old.parquet")
    new.rename(path)
    assert folder.final_counts() is not None and folder.verify() == []
    old.rename(path)
    assert folder.final_counts() is not None and folder.verify() == []
    truncate(path)
    assert len(folder.problems()) == 1


def test_rows_of_another_batch_are_none_of_this_one(folder: BatchFolder, tmp_path: Path) -> None:
    other = BatchFolder(tmp_path / "other")
    settle(other, list(range(20)), "one")
    other.publish(batch_inputs(20))
    shutil.copy(other.path / SUCCESSES, folder.path / SUCCESSES)
    assert mend(folder) == 225 - 18


def test_the_settings_of_pictures_are_noted_in_their_file_each_kind_once(tmp_path: Path) -> None:
    folder = BatchFolder(tmp_path / "batch")
    settle(folder, list(range(100)), "one", '{"size": 1}')
    settle(folder, list(range(100, 150)), "two", '{"size": 1}')
    settle(folder, list(range(150, ROWS)), "three", '{"size": 2}')
    folder.publish(batch_inputs(ROWS))
    settle(folder, [10], "retry", '{"size": 3}')
    folder.publish(batch_inputs(ROWS))
    assert set(picture_notes(pq.read_metadata(folder.path / SUCCESSES).metadata)) == {'{"size": 1}', '{"size": 2}'}
    (folder.path / "_completed").unlink()
    folder.publish(batch_inputs(ROWS))
    assert set(picture_notes(pq.read_metadata(folder.path / SUCCESSES).metadata)) == {'{"size": 1}', '{"size": 2}'}
    assert picture_notes(pq.read_metadata(folder.path / ERRORS).metadata) == []


def test_what_is_no_parquet_has_no_sound_rows(tmp_path: Path) -> None:
    for content in (b"", b"PAR1", b"PAR1" * 3, bytes(1000), b"PAR1" + b"\xff" * 100 + b"\x50\0\0\0PAR1"):
        (tmp_path / "file").write_bytes(content)
        assert list(sound_rows(tmp_path / "file")) == []
        assert FileFacts(1, len(content), "", "").problem(tmp_path / "file")


@pytest.mark.parametrize("is_finished", [True, False], ids=["finished", "journals"])
def test_a_batch_whose_files_are_out_of_reach_is_neither_damaged_nor_replaced(
    tmp_path: Path, folder: BatchFolder, is_finished: bool
) -> None:
    if not is_finished:
        folder = BatchFolder(tmp_path / "other" / NAME)
        settle(folder, list(range(ROWS)), "one")
    inputs = batch_inputs(ROWS)
    before = {path.name: path.read_bytes() for path in folder.path.iterdir()}
    acts = (folder.problems, folder.counts, folder.final_counts, folder.verify) if is_finished else ()
    for act in (*acts, lambda: folder.settled(inputs), lambda: folder.publish(inputs)):
        with no_more_files(), pytest.raises((RunFolderError, OSError), match=r"too many files|Too many open files"):
            act()
    assert {path.name: path.read_bytes() for path in folder.path.iterdir()} == before
    assert mend(folder) == 0
    assert is_as_it_was(folder)


def test_a_table_that_becomes_out_of_reach_after_its_marker_was_read_is_not_replaced(folder: BatchFolder) -> None:
    counts = folder.counts()
    assert counts is not None
    for facts in counts.files[SUCCESSES]:
        with no_more_files(), pytest.raises(RunFolderError, match="too many files are open"):
            facts.problem(folder.path / SUCCESSES)
        with no_more_files(), pytest.raises(RunFolderError, match="too many files are open"):
            facts.is_content_of(folder.path / SUCCESSES)
    for read in (end_problem, lambda path: list(sound_rows(path))):
        with no_more_files(), pytest.raises(RunFolderError, match="too many files are open"):
            read(folder.path / SUCCESSES)
