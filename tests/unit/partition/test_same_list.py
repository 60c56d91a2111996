"""A run continues with its own list, wherever that is and however it is packed; what another one means must be said."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader import pipeline
from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode, UserError
from ray_downloader.partition import content, load_partition_summary, same_list
from ray_downloader.partition.batches import load_batches, read_batch
from ray_downloader.run_folder.identity import load_identity
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.moves import Moves, finish_moves, make_moves
from tests.support.kills import Killed, killed_at
from tests.support.thorough import thorough

pytestmark = pytest.mark.stage


def urls(numbers: Iterable[int]) -> list[str]:
    """A big server, one that shares batches with others, and a row that is rejected."""
    return [f"http://{'a' if number % 5 else 'b'}.org/{number}.jpg" for number in numbers] + ["mailto:me@a.org"]


class Run:
    """Partitions of one folder, one call after the other."""

    def __init__(self, folder: Path, numbers: Iterable[int] = range(60)) -> None:
        self.folder = folder
        self.list = folder / "list.txt"
        self.write(numbers)

    def write(self, numbers: Iterable[int]) -> None:
        self.list.write_text("\n".join(urls(numbers)) + "\n", "utf-8")

    def call(self, **groups: Any) -> RunLayout:
        given = {"path_to_input": str(self.list), "path_to_output": self.folder / "out", "stages": ["partition"]}
        settings = Settings.from_config({**given, **groups})
        assert pipeline.run(settings) == ExitCode.SETTLED
        return RunLayout.of(settings)

    def rows(self) -> Counter[str]:
        layout = RunLayout.of(Settings.from_config({"path_to_input": "", "path_to_output": self.folder / "out"}))
        batches = load_batches(layout)
        assert [batch.batch_id for batch in batches] == list(range(len(batches)))
        places = [(batch.server_name, batch.partition_id) for batch in batches]
        assert len(set(places)) == len(places), "each batch has a folder of its own"
        tables = [read_batch(layout, batch) for batch in batches]
        assert [table.num_rows for table in tables] == [batch.rows for batch in batches]
        found = Counter(url for table in tables for url in table["identifier"].to_pylist())
        summary = load_partition_summary(layout)
        assert summary.accepted_rows == found.total()
        assert summary.input_rows == found.total() + pq.read_metadata(layout.rejected_table).num_rows
        servers = pq.read_table(layout.servers_table)
        of_servers = Counter(name for table in tables for name in table["server_name"].to_pylist())
        assert dict(zip(servers["server_name"].to_pylist(), servers["rows"].to_pylist(), strict=True)) == of_servers
        return found


def accepted(numbers: Iterable[int]) -> Counter[str]:
    return Counter(urls(numbers)[:-1])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path)
    made.call()
    return made


def index(run: Run) -> bytes:
    return (run.folder / "out" / "urls" / "batches.parquet").read_bytes()


def test_a_run_writes_down_what_it_is(run: Run) -> None:
    identity, why = load_identity(run.call())
    assert identity is not None and not why
    assert identity.listed.rows == 61 and identity.listed.size_bytes == run.list.stat().st_size
    assert identity.rows["dataset.name"] == "generic" and identity.pictures["image.quality"] == 95


def test_a_list_that_was_moved_touched_packed_reordered_or_written_as_a_table_is_the_same(run: Run) -> None:
    before = index(run)
    content = run.list.read_text("utf-8")
    os.utime(run.list)
    run.call()
    run.list = run.list.rename(run.folder / "moved.txt")
    run.call()
    packed = run.folder / "packed.txt.gz"
    packed.write_bytes(gzip.compress(content.encode()))
    run.call(path_to_input=str(packed))
    run.list.write_text("\n".join(reversed(content.splitlines())) + "\n", "utf-8")
    run.call()
    table = run.folder / "list.parquet"
    pq.write_table(pa.table({"url": content.splitlines()}), table)
    run.call(path_to_input=str(table))
    assert index(run) == before


def test_a_run_that_was_moved_with_its_list_continues(run: Run, tmp_path: Path) -> None:
    before = index(run)
    (tmp_path / "elsewhere").mkdir()
    for name in ("out", "list.txt"):
        (run.folder / name).rename(tmp_path / "elsewhere" / name)
    moved = Run.__new__(Run)
    moved.folder, moved.list = tmp_path / "elsewhere", tmp_path / "elsewhere" / "list.txt"
    moved.call()
    assert index(moved) == before


def test_a_list_that_is_gone_is_not_needed_and_one_that_never_was_is_a_mistake(run: Run) -> None:
    run.list.unlink()
    run.call()
    with pytest.raises(UserError, match=r"list\.text does not exist"):
        run.call(path_to_input=str(run.folder / "list.text"))
    run.call(path_to_input=str(run.folder / "list.text"), list="keep")


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (range(100), "60 rows are the same, 40 are new, 0 are gone"),
        (range(10), "10 rows are the same, 0 are new, 50 are gone"),
        (range(30, 90), "30 rows are the same, 30 are new, 30 are gone"),
        ([*range(60), 7, 7], "60 rows are the same, 2 are new, 0 are gone"),
    ],
    ids=["grown", "shorter", "replaced", "doubled"],
)
def test_a_list_that_changed_is_refused_with_counts_and_choices_and_nothing_is_touched(
    run: Run, numbers: Iterable[int], said: str
) -> None:
    before = index(run)
    run.write(numbers)
    for _ in range(2):
        with pytest.raises(UserError, match=said) as refusal:
            run.call()
    assert all(choice in str(refusal.value) for choice in ("list=extend", "list=keep", "path_to_output", str(run.list)))
    assert "reset" not in str(refusal.value), "nothing advises to delete images"
    run.call(list="keep")
    assert index(run) == before
    assert run.rows() == accepted(range(60))


def test_new_rows_come_in_batches_of_their_own_and_the_old_stay(run: Run) -> None:
    before = {batch.batch_id: batch for batch in load_batches(run.call())}
    run.write([*range(30, 100), 30])
    run.call(list="extend")
    assert run.rows() == accepted([*range(100), 30])
    after = {batch.batch_id: batch for batch in load_batches(run.call())}
    assert {number: after[number] for number in before} == before
    run.write([*range(30, 200), 30])
    run.call(list="extend")
    assert run.rows() == accepted([*range(200), 30])
    run.call(list="extend")
    run.call()
    assert run.rows() == accepted([*range(200), 30])
    assert not list((run.folder / "out").glob(".[apt]*")), "nothing is left beside"


def test_rejected_rows_are_those_of_both_lists_each_once(run: Run) -> None:
    run.list.write_text("\n".join([*urls(range(70))[:-1], "ftp://a.org/x.jpg", "nonsense"]) + "\n", "utf-8")
    layout = run.call(list="extend")
    rejected = pq.read_table(layout.rejected_table)["identifier"].to_pylist()
    assert sorted(rejected) == ["ftp://a.org/x.jpg", "mailto:me@a.org", "nonsense"]
    run.rows()


def test_other_rejected_rows_are_those_of_the_run_from_now_on(run: Run) -> None:
    before = index(run)
    for more in (["nonsense", "mailto:me@a.org"], ["ftp://c.org/1.jpg"], []):
        run.list.write_text("\n".join([*urls(range(60)), *more]) + "\n", "utf-8")
        layout = run.call()
        rejected = Counter(pq.read_table(layout.rejected_table)["identifier"].to_pylist())
        assert rejected == Counter(["mailto:me@a.org", *more])
        summary = load_partition_summary(layout)
        assert (summary.input_rows, summary.accepted_rows) == (61 + len(more), 60)
        assert sum(summary.rejected_by_reason.values()) == 1 + len(more)
        assert run.rows() == accepted(range(60)) and index(run) == before


def test_keys_that_choose_the_same_rows_change_nothing_and_others_are_named(run: Run) -> None:
    before = index(run)
    run.call(dataset={"license": "CC0"})
    assert index(run) == before
    with pytest.raises(UserError, match=r"60 are gone; dataset\.licenses=\[\] before, \['cc0'\] now|no row"):
        run.call(dataset={"licenses": ["cc0"]})


NOTE_OF_ANOTHER_VERSION = '{"version": 99, "list": {"color": 1}, "x": 2}'


@pytest.mark.parametrize(
    "content", [None, thorough(""), thorough("{"), "[]", thorough('{"list": 3}'), NOTE_OF_ANOTHER_VERSION]
)
def test_a_run_without_a_usable_note_of_what_it_is_is_adopted_if_the_rows_agree(run: Run, content: str | None) -> None:
    note = run.folder / "out" / "run.json"
    note.unlink() if content is None else note.write_text(content)
    before = index(run)
    run.call()
    assert index(run) == before
    known = json.loads(note.read_text("utf-8"))
    assert known["list"]["rows"] == 61 and known["version"] == 1
    assert known.get("x") == (2 if content and "99" in content else None), "what another version wrote is kept"
    note.unlink()
    run.write(range(61))
    with pytest.raises(UserError, match="60 rows are the same, 1 are new, 0 are gone"):
        run.call()


def test_an_extension_that_is_killed_anywhere_is_finished_or_never_was(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.write(range(30, 100))
    decided: list[Moves] = []

    def killed_before(_root: Path, moves: Moves) -> None:
        decided.append(moves)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(same_list, "make_moves", killed_before)
        with pytest.raises(Killed):
            run.call(list="extend")
    assert run.rows() == accepted(range(60)), "until it is decided, nothing has happened"
    outcomes = []
    for effect in range(100):
        copy = Run.__new__(Run)
        copy.folder = tmp_path / str(effect)
        shutil.copytree(run.folder / "out", copy.folder / "out")
        try:
            with killed_at(effect, monkeypatch):
                make_moves(copy.folder / "out", decided[0])
            break
        except Killed:
            finish_moves(copy.folder / "out")
            outcomes.append(copy.rows().total())
        assert outcomes == sorted(outcomes), "decided at one moment"
    assert set(outcomes) == {60, 100}
    run.call(list="extend")
    assert run.rows() == accepted(range(100)), "what was prepared and not decided is made anew"
    assert not list((run.folder / "out").glob(".[ampt]*"))


def test_a_list_that_was_moved_is_noted_without_reading_it_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = run.folder / "moved.txt"
    run.list.rename(moved)
    run.call(path_to_input=str(moved))
    assert json.loads((run.folder / "out" / "run.json").read_text("utf-8"))["list"]["path"] == str(moved)
    monkeypatch.setattr(content, "sha256_of", lambda _: pytest.fail("it was not touched"))
    run.call(path_to_input=str(moved))


def test_what_was_found_is_reported_with_its_counts(run: Run) -> None:
    said: list[str] = []
    run.write(range(100))
    settings = Settings.from_config(
        {"path_to_input": str(run.list), "path_to_output": run.folder / "out", "list": "extend"}
    )
    same_list.settle_list(
        settings, RunLayout.of(settings), ".trash", said.append, lambda *_: pytest.fail("no documents")
    )
    (sentence,) = said
    assert sentence.startswith("the new rows of the list were added: 60 rows are the same, 40 are new, 0 are gone")


def settled(run: Run, **groups: Any) -> list[str]:
    """What is said when the list is settled."""
    said: list[str] = []
    given = {"path_to_input": str(run.list), "path_to_output": run.folder / "out", **groups}
    settings = Settings.from_config(given)
    same_list.settle_list(settings, RunLayout.of(settings), ".trash", said.append)
    return said


def test_a_list_that_was_touched_and_has_the_same_rows_is_said_once(run: Run) -> None:
    assert settled(run) == []
    run.list.write_text("\n".join(reversed(run.list.read_text().splitlines())) + "\n", "utf-8")
    assert settled(run) == [
        "the list was touched, and its rows are those of this run: 60 rows are the same, 0 are new, 0 are gone"
    ]
    assert settled(run) == []


def test_a_list_that_only_became_shorter_leaves_a_run_that_may_be_extended_as_it_is(run: Run) -> None:
    layout = run.call()
    rejected, before = layout.rejected_table.read_bytes(), index(run)
    run.list.write_text("\n".join([*urls(range(50)), "nonsense"]) + "\n", "utf-8")
    (sentence,) = settled(run, list="extend")
    assert sentence.endswith("50 rows are the same, 0 are new, 10 are gone")
    assert (layout.rejected_table.read_bytes(), index(run)) == (rejected, before)
    assert settled(run, list="extend") == settled(run, list="keep") == settled(run) == []
    identity, _ = load_identity(layout)
    assert identity is not None and identity.listed.rows == 52


def test_a_run_of_an_earlier_version_knows_its_list_by_its_settings(run: Run) -> None:
    out = run.folder / "out"
    (out / "run.json").unlink()
    run.list.unlink()
    (sentence,) = settled(run)
    assert sentence == f"path_to_input={run.list} does not exist any more; the run continues with its own rows"
    with pytest.raises(UserError, match="does not exist"):
        settled(run, path_to_input=str(run.folder / "other.txt"))
    (out / "settings.json").write_text("damaged")
    with pytest.raises(UserError, match="does not exist"):
        settled(run)


def test_why_a_list_is_compared_with_the_rows_of_a_run_without_a_note_is_said(run: Run) -> None:
    (run.folder / "out" / "run.json").unlink()
    why, found = settled(run)
    assert why.endswith(": the list is compared with the rows of the run")
    assert found.startswith("the list was touched, and its rows are those of this run: 60 rows are the same")


def test_an_extension_is_noted_with_the_number_of_rows_that_it_has(run: Run) -> None:
    run.write(range(100))
    settled(run, list="extend")
    known = json.loads((run.folder / "out" / "run.json").read_text("utf-8"))
    assert known["list"]["rows"] == 101
    assert known["batches"]["extended"] is True
    assert known["batches"]["accepted_rows"] == 100
    assert not [path.name for path in (run.folder / "out").iterdir() if path.name.startswith(".a")]
