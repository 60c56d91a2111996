"""The profile stage: a few polite requests to each larger server, shared by MPI ranks, give it a first rate."""

from __future__ import annotations

from ray_downloader.config.settings import Settings
from ray_downloader.run_folder.layout import RunLayout


def run_profile(settings: Settings, layout: RunLayout) -> None:
    """Profile the servers that have no line in `profiles.csv` yet, and wait for the end.

    Needs `settings.json` and the partition stage's files; starts MPI ranks if possible (`profile.launcher`).

    Raises:
        UserError: A setting or a file is unusable.
        RuntimeError: The MPI ranks failed, and `profile.launcher` requires them.
    """
    from ray_downloader.profile.stage import profile_servers  # noqa: PLC0415 (workers read `table` but send no probes)

    profile_servers(settings, layout)
