"""Every path of a run folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ray_downloader.config.settings import OutputStructure, Settings

SUCCESSES = "successes.parquet"
ERRORS = "errors.parquet"


#: A name may have 255 bytes, of which `server_name=` and the endings of temporary files need some.
_LONGEST_NAME = 200


def folder_name(server: str) -> str:
    """The key of a server as part of a file name; that of a server with a very long name ends in a hash."""
    name = server.replace(":", "%3A")
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 17]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def names_a_folder(server: str) -> bool:
    """Whether a folder can have the whole key as its name; rows of other servers share batches with others."""
    return len(server.replace(":", "%3A")) <= _LONGEST_NAME


@dataclass(frozen=True, slots=True)
class RunLayout:
    """Where the files of one run are."""

    root: Path
    structure: OutputStructure

    @classmethod
    def of(cls, settings: Settings) -> RunLayout:
        """The layout that the settings describe."""
        return cls(settings.path_to_output, settings.output_structure)

    @property
    def settings_file(self) -> Path:
        return self.root / "settings.json"

    @property
    def run_file(self) -> Path:
        """What the run is (`identity.py`)."""
        return self.root / "run.json"

    @property
    def lock_file(self) -> Path:
        return self.root / ".lock"

    @property
    def summary_file(self) -> Path:
        return self.root / "summary.json"

    @property
    def plan_file(self) -> Path:
        return self.root / "plan.json"

    @property
    def checkpoint_file(self) -> Path:
        return self.root / self.structure.inner_checkpoint_file

    @property
    def profiles_table(self) -> Path:
        return self.root / self.structure.profiles_table

    @property
    def ignored_table(self) -> Path:
        return self.root / self.structure.ignored_table

    @property
    def urls(self) -> Path:
        return self.root / self.structure.urls_folder

    @property
    def batches_table(self) -> Path:
        return self.urls / "batches.parquet"

    @property
    def rejected_table(self) -> Path:
        return self.urls / "rejected.parquet"

    @property
    def servers_table(self) -> Path:
        """Rows by server, written by the partition stage."""
        return self.urls / "servers.parquet"

    @property
    def partition_summary_file(self) -> Path:
        """What the partition stage counted."""
        return self.urls / "partition.json"

    @property
    def base_table(self) -> Path:
        """Which rows earlier runs have, and where (`base=`)."""
        return self.urls / "base.parquet"

    @property
    def base_file(self) -> Path:
        """The earlier runs, and how many rows they have."""
        return self.urls / "base.json"

    @property
    def vanished_file(self) -> Path:
        """Rows of earlier runs that the list does not have any more."""
        return self.root / "vanished.csv"

    @property
    def images(self) -> Path:
        return self.root / self.structure.images_folder

    @property
    def manifests(self) -> Path:
        """IIIF documents that the list names."""
        return self.root / "manifests"

    @property
    def schedules(self) -> Path:
        return self.root / self.structure.schedules_folder

    @property
    def servers_state_file(self) -> Path:
        return self.schedules / "servers.json"

    @property
    def server_changes_file(self) -> Path:
        """Changes of states since `servers_state_file` was written."""
        return self.schedules / "servers.changes"

    @property
    def orders_file(self) -> Path:
        return self.schedules / "orders.jsonl"

    @property
    def reset_file(self) -> Path:
        """The submission that last reset the run."""
        return self.root / ".reset.json"

    @property
    def retry_order_file(self) -> Path:
        return self.schedules / "retry.json"

    @property
    def placeholders_file(self) -> Path:
        """Pictures that servers send for many links (`image.placeholders`)."""
        return self.schedules / "placeholders.json"

    @property
    def profile_parts(self) -> Path:
        """The part files of the ranks of a running profile stage."""
        return self.schedules / "profile_parts"

    @property
    def robots(self) -> Path:
        return self.schedules / "robots"

    @property
    def logs(self) -> Path:
        return self.root / self.structure.logs_folder

    @property
    def progress_file(self) -> Path:
        return self.logs / "progress.json"

    @property
    def command_file(self) -> Path:
        """The command that retries errors, as the last run was started; its report names it."""
        return self.logs / "command.txt"

    @property
    def tools(self) -> Path:
        return self.root / self.structure.tools_folder

    def batch_folder(self, server: str, partition_id: int) -> Path:
        """Where the results of one batch go."""
        return self.images / f"server_name={folder_name(server)}" / f"partition_id={partition_id}"
