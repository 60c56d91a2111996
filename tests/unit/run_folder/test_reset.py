"""`reset` acts once per submission; `reset=batched` removes images only if it is meant and can be followed by a run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ray_downloader import pipeline
from ray_downloader.config.settings import Settings
from ray_downloader.errors import ExitCode, UserError
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.reset import check_reset, is_due
from ray_downloader.run_folder.work_folder import WorkNote
from tests.support.kills import Killed, killed_at

pytestmark = pytest.mark.stage

FIRST = {"SLURM_JOB_ID": "77"}
REQUEUED = {"SLURM_JOB_ID": "77", "SLURM_RESTART_COUNT": "1"}


def settings_of(folder: Path, **given: Any) -> Settings:
    values = {"path_to_input": str(folder / "list.txt"), "path_to_output": folder / "out", "stages": ["partition"]}
    return Settings.from_config({**values, **given})


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    """A run with one picture, an order, a profile, and a tool whose result is in place."""
    write_list(tmp_path, 30)
    settings = settings_of(tmp_path)
    assert pipeline.run(settings) == ExitCode.SETTLED
    layout = RunLayout.of(settings)
    for path in (
        layout.batch_folder("a.org", 0) / "successes.parquet", layout.servers_state_file, layout.orders_file,
        layout.server_changes_file,
        layout.robots / "a.json", layout.profiles_table, layout.tools / "resize" / "applied" / "manifest.json",
        layout.tools / "stats" / "summary.json", layout.ignored_table, layout.summary_file,
    ):  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("server_name\n" if path == layout.ignored_table else "", "utf-8")
    return layout


def write_list(folder: Path, rows: int) -> None:
    (folder / "list.txt").write_text("".join(f"http://a.org/{row}.jpg\n" for row in range(rows)))


def pictures(layout: RunLayout) -> list[Path]:
    return list(layout.root.rglob("successes.parquet"))


def batches(layout: RunLayout) -> bytes:
    return layout.batches_table.read_bytes()


def test_starting_over_removes_images_batches_and_what_was_learned_and_keeps_what_the_user_wrote(
    layout: RunLayout, tmp_path: Path
) -> None:
    write_list(tmp_path, 50)
    pipeline.run(settings_of(tmp_path, reset="batched", confirm="out"))
    assert not pictures(layout)
    assert not any(path.exists() for path in (layout.schedules, layout.profiles_table, layout.summary_file))
    assert layout.ignored_table.exists() and layout.logs.exists()
    assert [path.name for path in (layout.tools).glob("*/*")] == ["summary.json"]
    assert not list(layout.root.glob("trash-*"))
    pipeline.run(settings_of(tmp_path))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, r"run the same command with reset=batched confirm=out$"),
        ({"confirm": "ou"}, r"confirm=ou is not the name of the folder .* has the name out$"),
        ({"confirm": "out", "mode": "plan"}, "mode=plan fetches none"),
        ({"confirm": "out", "stages": ["download"]}, "stages must contain partition"),
        ({"confirm": "out", "path_to_input": "/no/such/list.txt"}, "/no/such/list.txt does not exist"),
        ({"confirm": "out", "dataset": {"name": "lila"}}, "list.txt"),
        ({"confirm": "out", "dataset": {"name": "nothing"}}, "nothing"),
        ({"confirm": "out", "fetcher": {"name": "wget"}}, "wget"),
        ({"confirm": "out", "dataset": {"licenses": ["cc0"]}}, "no row of the list states a licence"),
        ({"confirm": "out", "stages": ["partition", "download"], "path_to_input": "public.txt"}, "contact is required"),
    ],
    ids=["unconfirmed", "misspelled", "plan", "stages", "list", "columns", "dataset", "fetcher", "no_row", "contact"],
)
def test_nothing_is_removed_before_everything_else_is_right(
    layout: RunLayout, tmp_path: Path, given: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "public.txt").write_text("http://93.184.216.34/1.jpg\n")
    before = batches(layout)
    with pytest.raises(UserError, match=said) as refusal:
        pipeline.run(settings_of(tmp_path, reset="batched", **given))
    assert refusal.value.exit_code is ExitCode.USAGE
    assert len(pictures(layout)) == 1 and batches(layout) == before
    assert pipeline.run(settings_of(tmp_path)) == ExitCode.SETTLED, "the run continues as if that had not been said"


def test_on_a_terminal_the_name_of_the_folder_is_asked_for(layout: RunLayout, tmp_path: Path) -> None:
    asked = []

    def answer(text: str, name: str) -> str:
        asked.append(text)
        return name

    settings = settings_of(tmp_path, reset="batched")
    check_reset(settings, layout, lambda text: answer(text, "out"))
    with pytest.raises(UserError, match=r"nothing of .*out was changed"):
        check_reset(settings, layout, lambda text: answer(text, "yes"))
    assert all(str(layout.root) in text for text in asked) and len(asked) == 2


def test_a_run_in_a_store_is_called_by_its_url(layout: RunLayout, tmp_path: Path) -> None:
    WorkNote.new("s3://bucket/out").save(layout.root)
    with pytest.raises(UserError, match=r"all images of s3://bucket/out: confirm"):
        check_reset(settings_of(tmp_path, reset="batched"), layout, None)


def test_without_images_there_is_nothing_to_confirm(tmp_path: Path) -> None:
    write_list(tmp_path, 3)
    pipeline.run(settings_of(tmp_path, reset="batched"))
    write_list(tmp_path, 4)
    pipeline.run(settings_of(tmp_path, reset="batched"))
    pipeline.run(settings_of(tmp_path, reset="profiled"))


def test_profiling_anew_keeps_images_batches_and_orders(layout: RunLayout, tmp_path: Path) -> None:
    before = batches(layout)
    pipeline.run(settings_of(tmp_path, reset="profiled"))
    assert batches(layout) == before and pictures(layout) and layout.orders_file.exists()
    assert not any(
        path.exists()
        for path in (layout.profiles_table, layout.servers_state_file, layout.server_changes_file, layout.robots)
    )


@pytest.mark.parametrize("reset", ["batched", "profiled"])
def test_a_requeued_job_does_not_reset_itself(
    layout: RunLayout, tmp_path: Path, reset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path, reset=reset, confirm="out")
    for name, value in FIRST.items():
        monkeypatch.setenv(name, value)
    assert is_due(settings, layout, FIRST)
    pipeline.run(settings)
    assert not is_due(settings, layout, REQUEUED)
    assert is_due(settings, layout, FIRST) and is_due(settings, layout, {})
    assert is_due(settings, layout, {"SLURM_JOB_ID": "78", "SLURM_RESTART_COUNT": "1"})
    assert not is_due(settings_of(tmp_path), layout, FIRST)
    other = {"batched": "profiled", "profiled": "batched"}[reset]
    assert is_due(settings_of(tmp_path, reset=other), layout, REQUEUED), "a job of two commands, and this is the second"


@pytest.mark.parametrize("effect", [0, 3, 6, 9, 12, 15, 18])
def test_a_kill_during_a_reset_with_a_longer_list_never_mixes_the_two_runs(
    layout: RunLayout, tmp_path: Path, effect: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = batches(layout)
    write_list(tmp_path, 50)
    make_moves = pipeline.make_moves

    def killed(*given: Any) -> None:
        with killed_at(effect, monkeypatch):
            make_moves(*given)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "make_moves", killed)
        with suppress(Killed):
            pipeline.run(settings_of(tmp_path, reset="batched", confirm="out"))
    try:
        pipeline.run(settings_of(tmp_path))
        assert not pictures(layout) and batches(layout) != before
    except UserError as refusal:
        assert "30 rows are the same, 20 are new, 0 are gone" in str(refusal)
        assert len(pictures(layout)) == 1 and batches(layout) == before
