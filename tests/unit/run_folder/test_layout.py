"""The names of a run folder's files: users, tests and earlier runs rely on them."""

from __future__ import annotations

from pathlib import Path

from ray_downloader.config.settings import OutputStructure, Settings
from ray_downloader.run_folder.layout import RunLayout, folder_name, names_a_folder

NAMES = {
    "settings_file": "settings.json",
    "lock_file": ".lock",
    "run_file": "run.json",
    "summary_file": "summary.json",
    "plan_file": "plan.json",
    "reset_file": ".reset.json",
    "checkpoint_file": "checkpoint.json",
    "profiles_table": "profiles.csv",
    "ignored_table": "ignored.csv",
    "urls": "urls",
    "batches_table": "urls/batches.parquet",
    "rejected_table": "urls/rejected.parquet",
    "servers_table": "urls/servers.parquet",
    "partition_summary_file": "urls/partition.json",
    "base_table": "urls/base.parquet",
    "base_file": "urls/base.json",
    "vanished_file": "vanished.csv",
    "images": "images",
    "manifests": "manifests",
    "schedules": "schedules",
    "servers_state_file": "schedules/servers.json",
    "server_changes_file": "schedules/servers.changes",
    "orders_file": "schedules/orders.jsonl",
    "retry_order_file": "schedules/retry.json",
    "placeholders_file": "schedules/placeholders.json",
    "profile_parts": "schedules/profile_parts",
    "robots": "schedules/robots",
    "logs": "logs",
    "progress_file": "logs/progress.json",
    "command_file": "logs/command.txt",
    "tools": "tools",
}


def test_each_file_has_the_name_of_the_contract() -> None:
    settings = Settings.from_config({"path_to_input": "list.txt", "path_to_output": "/data/out"})
    layout = RunLayout.of(settings)
    assert {name: getattr(layout, name) for name in NAMES} == {
        name: Path("/data/out", at) for name, at in NAMES.items()
    }


def test_the_names_that_a_user_can_choose_are_used() -> None:
    structure = OutputStructure(
        urls_folder="u", logs_folder="l", images_folder="i", schedules_folder="s", profiles_table="p.csv",
        ignored_table="g.csv", inner_checkpoint_file="c.json", tools_folder="t",
    )  # fmt: skip
    layout = RunLayout(Path("out"), structure)
    chosen = (layout.urls, layout.logs, layout.images, layout.schedules, layout.tools)
    assert chosen == tuple(Path("out", name) for name in ("u", "l", "i", "s", "t"))
    assert (layout.profiles_table, layout.ignored_table) == (Path("out/p.csv"), Path("out/g.csv"))
    assert (layout.checkpoint_file, layout.progress_file) == (Path("out/c.json"), Path("out/l/progress.json"))


def test_a_batch_folder_spells_a_port_as_folders_can(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure(images_folder="pictures"))
    assert folder_name("[::1]:8080") == "[%3A%3A1]%3A8080"
    assert layout.batch_folder("a.example:8080", 3) == tmp_path / "pictures/server_name=a.example%3A8080/partition_id=3"


def test_a_very_long_key_is_cut_in_names_of_files_and_has_no_folder_of_its_own() -> None:
    long, other = f"{'a' * 249}:65535", f"{'a' * 248}b:65535"
    assert len(folder_name(long)) == 200
    assert folder_name(long) != folder_name(other)
    assert not names_a_folder(long)
    assert folder_name("a" * 200) == "a" * 200
    assert names_a_folder("a" * 200)
