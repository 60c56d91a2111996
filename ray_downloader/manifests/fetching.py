"""Fetches the documents that are left in a store, with the worker of the download in this process; no Ray is needed.

The same code decides about requests as for images: budgets, robots.txt, opt-outs, redirects, retries, Retry-After. Only
what is done with a body differs: it is kept as it is if it is an IIIF document.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import FETCHERS
from ray_downloader.fetch.receiver import BodyRoom
from ray_downloader.fetch.signature import signing
from ray_downloader.image import ImageError, ProcessedImage
from ray_downloader.manifests.store import DocumentStore
from ray_downloader.manifests.watch import WatchedBudgets
from ray_downloader.politeness.headers.user_agent import user_agent
from ray_downloader.signals import StopRequested, draining_on_signals
from ray_downloader.sources.iiif_documents import is_iiif
from ray_downloader.spill import Body
from ray_downloader.worker.batch_work import BatchOptions, BatchWork
from ray_downloader.worker.loop import MAX_IN_FLIGHT, Worker
from ray_downloader.worker.ports import Ports, TimeSlice
from ray_downloader.worker.robots_gate import RobotsGate
from ray_downloader.worker.robots_store import RobotsStore
from ray_downloader.worker.run_context import RunContext

#: How often the budgets are looked after while all servers are waited for.
_BEAT_S = 0.5
#: Bodies that this process holds in memory; larger ones go to scratch.
_ROOM_BYTES = 128 * 2**20


def fetch_documents(context: RunContext, store: DocumentStore, budgets: WatchedBudgets) -> None:
    """Fetch what is left in the store; afterwards each of its documents is there, or has failed.

    Args:
        context: The run.
        store: Where the documents are.
        budgets: Those of the servers.

    Raises:
        StopRequested: A signal came first, or no server could be reached; the same command continues.
    """
    budgets.expect(sum(item.left for _, item in store.work()))
    try:
        with draining_on_signals(budgets.drain):
            while (work := store.work()) and not budgets.is_draining:
                holder = f"documents-{uuid.uuid4().hex[:12]}"
                options = BatchOptions(batches=len(work))
                batches = [BatchWork(layout, item, holder, options) for layout, item in work]
                _wait(budgets, _slice(context, batches, holder, budgets))
    finally:
        budgets.end()
    if budgets.is_draining:
        raise StopRequested(budgets.stop_reason)


def _slice(context: RunContext, batches: list[BatchWork], holder: str, budgets: WatchedBudgets) -> float:
    """Work for `cluster.task_seconds`; how long nothing can be done afterwards."""
    settings, layout = context.settings, context.layout
    make_fetcher = signing(FETCHERS.get(settings.fetcher.name), settings.politeness)
    agent = user_agent(settings.politeness.contact, settings.politeness.info_url)
    room = BodyRoom(_ROOM_BYTES, Path(settings.cluster.scratch))
    is_strict = settings.politeness.opt_out == "strict"
    robots = RobotsGate(settings.politeness.robots, RobotsStore(layout.robots, time.time()), is_strict=is_strict)
    with closing(make_fetcher(settings.network, agent, MAX_IN_FLIGHT, room)) as fetcher:
        ports = Ports(fetcher, budgets, keep_document, rng=random.Random(holder), room=room)
        time_slice = TimeSlice(holder, settings.cluster.task_seconds)
        report = Worker(batches, context.requests, robots, ports, time_slice).run()
    return min((item.ready_in_s for item in report.unfinished), default=0.0)


def _wait(budgets: WatchedBudgets, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while not budgets.is_draining and (left_s := until_s - time.monotonic()) > 0:
        time.sleep(min(_BEAT_S, left_s))
        budgets.beat()


def keep_document(body: Body, _is_complete: bool, _is_suspect: bool) -> ProcessedImage:
    """A document as it is stored: its bytes.

    Raises:
        ImageError: It is not an IIIF document.
    """
    received = body if isinstance(body, bytes) else b"".join(body.pieces())
    document = parse(received)
    if document is None:
        raise ImageError(ErrorKind.NOT_IMAGE, "what came is not JSON")
    if not is_iiif(document):
        raise ImageError(ErrorKind.NOT_IMAGE, "what came is JSON, but not an IIIF manifest, collection or info.json")
    md5 = hashlib.md5(received, usedforsecurity=False).hexdigest()
    return ProcessedImage(received, "json", "json", md5, md5, (0, 0), (0, 0))


def parse(received: bytes) -> Any:
    """The JSON in some bytes; None if there is none."""
    try:
        return json.loads(received.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
