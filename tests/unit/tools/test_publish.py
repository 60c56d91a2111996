"""`apply` puts new batches in place, `undo` brings the old ones back, and a killed exchange is finished."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ray_downloader import pipeline
from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode, RunFolderError, UserError
from ray_downloader.monitor.summary import load_summary, save_summary
from ray_downloader.output.data_card import CARD, write_data_card
from ray_downloader.tools.context import file_stamp
from ray_downloader.tools.publish import (
    applied_folders,
    applied_tools,
    apply,
    apply_result,
    is_applied,
    is_half_applied,
    is_half_undone,
    refuse_if_applied,
    undo,
    undo_result,
)
from tests.support.earlier_run import earlier_run
from tests.support.kills import Killed, killed_at
from tests.support.stored import StoredRun, received, row, run_here, stage_here


def contents(run: StoredRun) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(run.layout.images.rglob("*.parquet"))}


def staged(run: StoredRun, name: str = "duplication_based", **parameters: int) -> Path:
    tool = run.tool(name, **parameters)
    run_here(tool)
    stage_here(tool)
    return tool.context.folder


def test_apply_drops_the_rows_and_undo_brings_every_byte_back(run: StoredRun) -> None:
    before = contents(run)
    folder = staged(run)
    assert apply(folder, run.layout.images) == 1
    assert sorted(run.images()) == ["b", "d", "e"]
    assert applied_tools(run.layout.tools) == ["duplication_based"]
    with pytest.raises(UserError, match=r"undo=true restores the images before it"):
        refuse_if_applied(folder)
    assert undo(folder, run.layout.images) == 1
    assert contents(run) == before
    assert applied_tools(run.layout.tools) == []


def apply_half(folder: Path, run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """`apply`, killed as it places the second batch."""
    link, links = os.link, []

    def killed_at_the_second(*arguments: str) -> None:
        links.append(arguments)
        if len(links) == 2:
            raise KeyboardInterrupt
        link(*arguments)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "link", killed_at_the_second)
        apply(folder, run.layout.images)
    assert is_half_applied(folder)


def test_an_exchange_that_was_killed_half_way_is_finished(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = staged(run, "size_based", threshold_size=91)
    apply_half(folder, run, monkeypatch)
    assert apply(folder, run.layout.images) == 2
    assert not is_half_applied(folder)
    assert run.images() == {}


def test_an_exchange_that_was_killed_can_be_undone_too(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(run)
    folder = staged(run, "size_based", threshold_size=91)
    link = os.link

    def killed_after_the_first(*arguments: str) -> None:
        link(*arguments)
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))

    monkeypatch.setattr(os, "link", killed_after_the_first)
    with pytest.raises(KeyboardInterrupt):
        apply(folder, run.layout.images)
    undo(folder, run.layout.images)
    assert contents(run) == before


def test_a_later_tool_has_to_be_undone_first(run: StoredRun) -> None:
    before = contents(run)
    first = staged(run)
    apply(first, run.layout.images)
    second = staged(run, "size_based", threshold_size=91)
    apply(second, run.layout.images)
    with pytest.raises(UserError, match="undo the later tool first"):
        undo(first, run.layout.images)
    undo(second, run.layout.images)
    undo(first, run.layout.images)
    assert contents(run) == before


def test_there_is_nothing_to_undo_before_apply(run: StoredRun) -> None:
    with pytest.raises(UserError, match="no result of size_based is in place"):
        undo(run.layout.tools / "size_based", run.layout.images)


def test_rows_listed_before_the_images_changed_are_not_dropped(run: StoredRun) -> None:
    tool = run.tool("duplication_based")
    run_here(tool)
    run.add([row("x", received(5)), row("y", received(6)), row("z", received(7))])
    with pytest.raises(UserError, match="changed after its rows were listed"):
        stage_here(tool)


def test_a_result_that_was_made_before_another_was_applied_does_not_undo_that(run: StoredRun) -> None:
    first, second = staged(run, "size_based", threshold_size=91), staged(run)
    apply(second, run.layout.images)
    after = contents(run)
    with pytest.raises(UserError, match=r"was changed after size_based had read it.*run the same command again"):
        apply(first, run.layout.images)
    assert contents(run) == after
    assert not is_half_applied(first)
    assert apply(staged(run, "size_based", threshold_size=91), run.layout.images) == 2
    undo(first, run.layout.images)
    assert contents(run) == after


def test_an_exchange_that_was_killed_does_not_undo_what_was_applied_since(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(run)
    killed = staged(run, "size_based", threshold_size=91)
    apply_half(killed, run, monkeypatch)
    since = staged(run, "resize", new_resize_size=16)
    assert apply(since, run.layout.images) == 2
    after = contents(run)
    with pytest.raises(UserError, match="was changed after size_based had read it"):
        apply(killed, run.layout.images)
    assert contents(run) == after
    undo(since, run.layout.images)
    assert apply(killed, run.layout.images) == 2
    undo(killed, run.layout.images)
    assert contents(run) == before


def test_a_retry_of_errors_asks_for_the_images_as_they_were(run: StoredRun) -> None:
    apply(staged(run), run.layout.images)
    settings = Settings.from_config(
        {
            "path_to_input": str(run.root),
            "path_to_output": run.root,
            "retry_errors": ["dns"],
            "cluster": {"num_cpus": 1},
        }
    )
    with pytest.raises(UserError, match=r"retry_errors: results of tools replace images .*duplication_based"):
        pipeline.run(settings)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: os.truncate(path, path.stat().st_size - 9),
    "missing": Path.unlink,
    "flipped": flip,
    "folder gone": lambda path: shutil.rmtree(path.parent),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_result_is_undone_and_its_dropped_rows_are_not_fetched_again(tmp_path: Path, damage: str) -> None:
    urls = [f"http://{'same' if n < 9 else n}.example/{n}.jpg" for n in range(20)]
    layout = earlier_run(tmp_path, urls, failed=urls[:2], downloader_parameters={"pool_below": 5})
    settings = Settings.from_config(
        {"path_to_input": str(tmp_path / "list.txt"), "path_to_output": layout.root, "verify": True,
         "downloader_parameters": {"pool_below": 5}, "stages": ["partition", "download"]}
    )  # fmt: skip
    run = StoredRun(layout.root)
    before, folder = contents(run), layout.tools / "size_based"
    for path in layout.images.rglob("successes.parquet"):
        new = folder / "images" / path.relative_to(layout.images)
        new.parent.mkdir(parents=True)
        pq.write_table(pq.read_table(path, partitioning=None).slice(3), new)
    apply(folder, layout.images)
    assert pipeline.run(settings, lambda *_: None) == ExitCode.SETTLED, "what a tool has dropped is not damage"
    result = layout.batch_folder("same.example", 0) / "successes.parquet"
    DAMAGES[damage](result)
    for _ in range(2):
        with pytest.raises(RunFolderError, match=r"its images are the result of size_based: restore those before it"):
            pipeline.run(settings, lambda *_: None)
    assert undo(folder, layout.images) == 2
    restored = contents(run)
    assert restored == before if damage != "folder gone" else restored.items() < before.items()


def test_a_result_is_in_place_for_what_was_asked_and_while_it_is_whole(run: StoredRun) -> None:
    folder = staged(run)
    assert not is_applied(folder, "this")
    refuse_if_applied(folder)
    assert apply(folder, run.layout.images, "this") == 1
    assert is_applied(folder, "this")
    assert not is_applied(folder, "that")
    assert not is_half_applied(folder)
    (folder / "applied" / "_completed").unlink()
    assert is_half_applied(folder)
    assert not is_applied(folder, "this")
    text = (folder / "applied" / "manifest.json").read_text("utf-8")
    manifest = json.loads(text)
    assert manifest["asked"] == "this"
    assert text == json.dumps(manifest, indent=1) + "\n"


def test_the_manifest_is_there_before_the_first_exchange_and_the_marker_after_the_last(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = staged(run, "size_based", threshold_size=91)
    exchanged = []
    link = os.link

    def noted(current: Path, saved: Path) -> None:
        exchanged.append((folder / "applied" / "manifest.json").exists() and is_half_applied(folder))
        link(current, saved)

    monkeypatch.setattr(os, "link", noted)
    assert apply(folder, run.layout.images) == 2
    assert exchanged == [True, True]
    assert json.loads((folder / "applied" / "_completed").read_text("utf-8")) == {"batches": 2}


def test_what_was_saved_is_the_first_and_stays_so_when_an_exchange_is_finished(run: StoredRun) -> None:
    before = contents(run)
    folder = staged(run)
    apply(folder, run.layout.images)
    after = contents(run)
    (folder / "applied" / "_completed").unlink()
    assert apply(folder, run.layout.images) == 1, "all is in place: nothing is exchanged again"
    assert contents(run) == after
    assert undo(folder, run.layout.images) == 1
    assert contents(run) == before


def test_undo_leaves_nothing_of_the_result_behind(run: StoredRun) -> None:
    folder = staged(run)
    apply(folder, run.layout.images)
    assert applied_folders(run.layout.tools) == [folder / "applied"]
    undo(folder, run.layout.images)
    assert not (folder / "images").exists()
    assert not (folder / "applied").exists()
    with pytest.raises(UserError, match="no result of duplication_based is in place"):
        undo(folder, run.layout.images)
    assert any(folder.iterdir()), "what the tool found stays"


def test_saved_images_without_a_manifest_are_no_exchange(run: StoredRun) -> None:
    folder = staged(run)
    (folder / "applied").mkdir()
    assert not is_half_applied(folder)
    assert applied_folders(run.layout.tools) == []


def test_what_an_undo_left_behind_is_removed_by_the_next(run: StoredRun) -> None:
    folder = staged(run)
    (folder / ".undone" / "place").mkdir(parents=True)
    apply(folder, run.layout.images)
    assert undo(folder, run.layout.images) == 1
    assert not (folder / ".undone").exists()


def test_an_undo_that_was_killed_is_finished_by_the_same_command(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(run)
    folder = staged(run, "size_based", threshold_size=91)
    apply(folder, run.layout.images)
    replace, replaced = Path.replace, []

    def killed_at_the_second(source: Path, target: Path) -> Path:
        replaced.append(target)
        if len(replaced) == 3:  # the first is the note that an undo has begun
            raise KeyboardInterrupt
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        undo(folder, run.layout.images)
    assert is_half_undone(folder) and not is_half_applied(folder) and not is_applied(folder, "")
    monkeypatch.setattr(Path, "replace", replace)
    assert undo(folder, run.layout.images) == 2
    assert contents(run) == before


def test_an_undo_that_is_killed_anywhere_is_finished_by_whatever_comes_next(
    run: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(run)
    for effect in range(100):
        folder = staged(run, "size_based", threshold_size=91)
        apply(folder, run.layout.images)
        is_killed = True
        with suppress(Killed), killed_at(effect, monkeypatch):
            undo(folder, run.layout.images)
            is_killed = False
        if is_half_undone(folder):  # as the engine does before anything else
            undo(folder, run.layout.images)
        elif is_killed and contents(run) != before:
            assert is_applied(folder, "") or is_half_applied(folder), "or it had not begun"
            undo(folder, run.layout.images)
        assert contents(run) == before, effect
        assert not is_half_applied(folder) and not is_half_undone(folder)
        if not is_killed:
            return
    raise AssertionError("there are more effects than that")


def test_tools_are_named_in_a_fixed_order(run: StoredRun) -> None:
    for name in ("size_based", "duplication_based"):
        apply(staged(run, name, threshold_size=21), run.layout.images)
    assert applied_tools(run.layout.tools) == ["duplication_based", "size_based"]
    assert applied_tools(run.root / "nowhere") == []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"batches": {}, "replaced": []}'])
def test_a_damaged_list_of_what_was_replaced_is_one_sentence(run: StoredRun, content: str) -> None:
    folder = staged(run)
    apply(folder, run.layout.images)
    (folder / "applied" / "manifest.json").write_text(content)
    with pytest.raises(RunFolderError, match=r"manifest\.json is damaged"):
        undo(folder, run.layout.images)


def _copy(run: StoredRun, root: Path) -> StoredRun:
    """What a store or `cp -r` gives: the same bytes, at other times and places."""
    shutil.copytree(run.root, root, copy_function=shutil.copyfile)
    return StoredRun(root)


def test_a_copy_of_the_run_can_be_undone_too(run: StoredRun, tmp_path: Path) -> None:
    before = {path.removeprefix(str(run.root)): content for path, content in contents(run).items()}
    assert apply(staged(run), run.layout.images) == 1
    copy = _copy(run, tmp_path / "copy")
    assert undo(copy.layout.tools / "duplication_based", copy.layout.images) == 1
    assert {path.removeprefix(str(copy.root)): content for path, content in contents(copy).items()} == before


def test_in_a_copy_too_a_later_tool_has_to_be_undone_first(run: StoredRun, tmp_path: Path) -> None:
    apply(staged(run), run.layout.images)
    apply(staged(run, "size_based", threshold_size=91), run.layout.images)
    copy = _copy(run, tmp_path / "copy")
    with pytest.raises(UserError, match="undo the later tool first"):
        undo(copy.layout.tools / "duplication_based", copy.layout.images)
    assert undo(copy.layout.tools / "size_based", copy.layout.images) == 2
    assert undo(copy.layout.tools / "duplication_based", copy.layout.images) == 1


def test_an_exchange_that_was_killed_is_finished_or_undone_in_a_copy(
    run: StoredRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(contents(run).values())
    folder = staged(run, "size_based", threshold_size=91)
    apply_half(folder, run, monkeypatch)
    finished, undone = _copy(run, tmp_path / "finished"), _copy(run, tmp_path / "undone")
    assert apply(finished.layout.tools / "size_based", finished.layout.images) == 2
    assert finished.images() == {}
    undo(undone.layout.tools / "size_based", undone.layout.images)
    assert sorted(contents(undone).values()) == before


def test_a_manifest_of_earlier_versions_still_counts(run: StoredRun) -> None:
    folder = staged(run)
    apply(folder, run.layout.images)
    manifest = folder / "applied" / "manifest.json"
    document = json.loads(manifest.read_text())
    document["batches"] = {
        place: file_stamp(run.layout.images / place / "successes.parquet") for place in document["batches"]
    }
    manifest.write_text(json.dumps(document))
    assert undo(folder, run.layout.images) == 1


def test_the_card_of_the_run_follows_its_images(run: StoredRun) -> None:
    def version() -> str:
        return (run.layout.images / CARD).read_text("utf-8")

    rows = {"input": 5, "rejected": 0, "successes": 5, "errors": 0}
    save_summary(run.layout, {"rows": rows, "unsettled_rows": 0, "servers": {}})
    tool = run.tool("size_based", threshold_size=91)
    write_data_card(run.layout, run.settings, load_summary(run.layout) or {})
    cards = [version()]
    run_here(tool)
    stage_here(tool)
    for change in (apply_result, undo_result):
        change(tool.context)
        cards.append(version())
    before, applied, undone = cards
    assert applied not in {before, undone}
