"""Several files of a run folder change places as one, wherever a kill comes."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from ray_downloader.errors import ExitCode, RunFolderError
from ray_downloader.run_folder.moves import Moves, finish_moves, make_moves, trash_name
from tests.support.kills import Killed, killed_at

TRASH = trash_name(1_769_860_800.0)
MOVES = Moves(
    TRASH, ["images", "urls", "logs/progress.json", "not there"], {".new": "urls", ".file": "old"}, {"run.json": "new"}
)


def folder(path: Path) -> Path:
    for name in ("images/a/b", "urls/old", "logs/progress.json", "logs/kept", ".new/new", ".file", "old", "run.json"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(name)
    return path


def files(path: Path) -> dict[str, str]:
    return {str(file.relative_to(path)): file.read_text() for file in path.rglob("*") if file.is_file()}


AFTER = {"urls/new": ".new/new", "logs/kept": "logs/kept", "old": ".file", "run.json": "new"}


def test_the_name_of_the_trash_says_when() -> None:
    assert TRASH == "trash-20260131T120000Z"


def test_what_is_moved_away_is_removed_and_the_rest_is_in_place(tmp_path: Path) -> None:
    make_moves(folder(tmp_path), MOVES)
    assert files(tmp_path) == AFTER
    finish_moves(tmp_path)
    assert files(tmp_path) == AFTER


def test_a_folder_that_a_file_goes_into_is_made(tmp_path: Path) -> None:
    make_moves(folder(tmp_path), Moves(TRASH, [], {".file": "new/deep/old"}, {"other/run.json": "new"}))
    assert (tmp_path / "new" / "deep" / "old").read_text() == ".file"
    assert (tmp_path / "other" / "run.json").read_text() == "new"


def test_a_kill_anywhere_leaves_it_undone_or_to_be_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files(folder(tmp_path / "as before"))
    ends = []
    for effect in range(100):
        root = folder(tmp_path / str(effect))
        try:
            with killed_at(effect, monkeypatch):
                make_moves(root, MOVES)
            break
        except Killed:
            for again in range(3):  # killed once more, at another place
                with suppress(Killed), killed_at(again, monkeypatch):
                    finish_moves(root)
            finish_moves(root)
            found = {name: text for name, text in files(root).items() if not name.endswith(".tmp")}
            assert found in (before, AFTER), effect
            ends.append(found == AFTER)
    assert len(ends) > 8 and ends == sorted(ends), "decided at one moment"
    assert {False, True} == set(ends)


def test_what_somebody_removed_by_hand_meanwhile_is_not_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path)
    with suppress(Killed), killed_at(1, monkeypatch):  # only the note was written
        make_moves(root, MOVES)
    note = (root / ".moves.json").read_text("utf-8")
    assert note == json.dumps(json.loads(note), indent=1) + "\n"
    assert json.loads(note)["away"] == ["images", "urls", "logs/progress.json"], "what is there"
    shutil.rmtree(root / "images")
    (root / ".file").unlink()
    finish_moves(root)
    assert files(root) == {**AFTER, "old": "old"}


def test_trash_that_was_not_emptied_is_and_a_folder_of_the_users_stays(tmp_path: Path) -> None:
    (tmp_path / TRASH / "images").mkdir(parents=True)
    (tmp_path / "trash-of-mine").mkdir()
    finish_moves(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["trash-of-mine"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"trash": "x"}'])
def test_a_damaged_note_is_one_sentence_and_nothing_is_removed(tmp_path: Path, content: str) -> None:
    (tmp_path / ".moves.json").write_text(content)
    (tmp_path / TRASH).mkdir()
    with pytest.raises(RunFolderError, match=r"\.moves\.json is damaged") as failure:
        finish_moves(tmp_path)
    assert failure.value.exit_code is ExitCode.FAILED
    assert (tmp_path / TRASH).exists()
    shutil.rmtree(tmp_path)
