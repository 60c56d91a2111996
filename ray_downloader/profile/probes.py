"""Many probes at once: runs a share's budgets in a small thread pool, and turns the findings into profiles."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

from ray_downloader.config.secrets import SecretHeaders
from ray_downloader.config.settings import Settings
from ray_downloader.fetch.base import FETCHERS
from ray_downloader.fetch.signature import signing
from ray_downloader.politeness.headers.user_agent import user_agent
from ray_downloader.profile.assign import BudgetJobs, ProbeJob
from ray_downloader.profile.estimate import LONGEST_SPACING_S, Probe, ServerProfile, estimate_profile
from ray_downloader.profile.pacer import ProbePacer
from ray_downloader.profile.probe import ProbedServer, ProbeOptions, probe_server
from ray_downloader.profile.workload import Rates, sample_urls
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.worker.robots_store import KeptAnswer, RobotsStore

_log = logging.getLogger(__name__)
#: Budgets that one rank probes at once. They mostly wait: for their turn, and for servers that hang.
PROBES_AT_ONCE = 64


class Probes:
    """Probes servers of one run.

    Args:
        settings: The run's settings.
        layout: Where its batches are.
    """

    def __init__(self, settings: Settings, layout: RunLayout) -> None:
        self._layout = layout
        self._samples = settings.profile.samples_per_server
        self._rates = Rates(settings)
        self._robots = RobotsStore(layout.robots, time.time())
        self._reading = threading.Lock()
        self._secrets = SecretHeaders.read(settings, os.environ)
        self._options = ProbeOptions(
            make_fetcher=signing(FETCHERS.get(settings.fetcher.name), settings.politeness),
            network=settings.network,
            user_agent=user_agent(settings.politeness.contact, settings.politeness.info_url),
            robots=settings.politeness.robots,
            max_seconds=settings.profile.max_seconds,
        )

    def profiles(self, share: Iterable[BudgetJobs]) -> Iterator[ServerProfile]:
        """Probe every server of the share; profiles come in the order in which budgets are finished."""
        pool = ThreadPoolExecutor(PROBES_AT_ONCE, "probe")
        try:
            for done in as_completed([pool.submit(self._probe_budget, piece) for piece in share]):
                yield from done.result()
        finally:  # sessions in progress end by their own deadline
            pool.shutdown(wait=False, cancel_futures=True)

    def _probe_budget(self, piece: BudgetJobs) -> list[ServerProfile]:
        """Probe the servers of one budget, one after the other at one pace."""
        pacer = ProbePacer(1 / piece.rate_rps)
        return [self._probe(job, pacer) for job in piece.jobs]

    def _probe(self, job: ProbeJob, pacer: ProbePacer) -> ServerProfile:
        """One server's profile; whatever goes wrong with it becomes a note in its line and affects no other server."""
        try:
            if pacer.wait_s() > self._options.max_seconds:
                return ServerProfile(job.server_name, len(job.batches), note="not probed: its budget has to wait")
            urls = sample_urls(self._layout, job, self._samples)
            server = ProbedServer(
                self._rates.policies.policy(job.server_name).verify_tls,
                self._secrets.of(job.server_name),
                self._kept_robots(job.server_name),
            )
            found = probe_server(urls, pacer, self._options, server)
            if found.answer is not None:
                self._robots.keep("robots.txt", job.server_name, found.answer)
        except Exception as error:
            _log.exception("profile: the probe of %s failed", job.server_name)
            return ServerProfile(job.server_name, len(job.batches), note=f"the probe itself failed: {error!r}")
        probe = Probe(
            server_name=job.server_name,
            total_batches=len(job.batches),
            asked_rps=1 / pacer.spacing_s,
            samples=found.samples,
            connection=found.connection,
            robots=found.robots,
            cut_short=found.cut_short,
        )
        for sample in found.samples:
            if sample.is_throttled:  # the others of its budget wait as well
                pacer.pause(sample.retry_after_s or LONGEST_SPACING_S)
        return estimate_profile(probe, self._rates.limits(job.server_name))

    def _kept_robots(self, server: str) -> KeptAnswer | None:
        """The server's robots.txt, if it was read today."""
        with self._reading:
            kept = self._robots.find("robots.txt", server)
        return kept if kept is not None and kept.text is not None else None
