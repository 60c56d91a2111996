"""What every process of a run reads from the run folder once: settings, limits by server, ignored servers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ray_downloader.config.secrets import SecretHeaders, with_secret_proxy
from ray_downloader.config.settings import Settings
from ray_downloader.politeness.policy import PolicyBook
from ray_downloader.profile.table import load_profiled_rates
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.retry_order import RetryOrder, load_retry_order
from ray_downloader.run_folder.server_lists import load_ignored_servers
from ray_downloader.worker.request_policy import RequestPolicy


@dataclass(frozen=True)
class RunContext:
    """The frozen facts of a run."""

    settings: Settings
    layout: RunLayout

    @classmethod
    def load(cls, settings_file: Path) -> RunContext:
        """Read the settings that the driver saved in `settings.json`."""
        settings = with_secret_proxy(Settings.load(settings_file), os.environ)
        return cls(settings, RunLayout.of(settings))

    @cached_property
    def policies(self) -> PolicyBook:
        """Limits by server."""
        rates = load_profiled_rates(self.layout)
        return PolicyBook(self.settings.politeness, self.settings.downloader_parameters, rates)

    @cached_property
    def retry(self) -> RetryOrder:
        """Errors that are retried."""
        return load_retry_order(self.layout)

    @cached_property
    def requests(self) -> RequestPolicy:
        """Decisions about requests."""
        secrets = SecretHeaders.read(self.settings, os.environ)
        return RequestPolicy(self.settings, self.policies, load_ignored_servers(self.layout), secrets)
