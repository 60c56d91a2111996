"""A run, or a tool, whose `path_to_output` is a URL: take it over, work in the work folder, send the results, let go.

The work folder that sent the run's files last has the newest state, journals included, and continues. Any other, such
as that of a fresh machine, first becomes what the store has.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from ray_downloader.config.settings import Settings
from ray_downloader.config.store_url import StoreUrl, is_store_url
from ray_downloader.errors import ExitCode
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.stored_structure import stored_structure
from ray_downloader.run_folder.work_folder import STORE, WorkNote, make_private_base
from ray_downloader.signals import ignoring_signals
from ray_downloader.stores.base import ObjectStore
from ray_downloader.stores.client import open_store
from ray_downloader.stores.lease import StoreLease
from ray_downloader.stores.mirror import Mirror
from ray_downloader.stores.reading import find_run
from ray_downloader.stores.sent_objects import SentObjects
from ray_downloader.stores.uploads import PATIENCE_OF_A_STOPPED_RUN_S, Uploads

_SENT = "sent.jsonl"

_log = logging.getLogger(__name__)


class Results(Protocol):
    """Where the results of a run go beyond its folder, if anywhere."""

    def publish(self, folders: Iterable[Path]) -> None:
        """These batches are finished."""

    def refresh(self) -> None:
        """Other files have changed, such as the tables of URLs."""

    def finish(self, exit_code: ExitCode) -> ExitCode:
        """The run has ended; returns `STOPPED` if results that it has are not where they belong."""


class _InTheFolder:
    """Results that stay in the run folder."""

    def publish(self, folders: Iterable[Path]) -> None:
        """Nothing to do."""

    def refresh(self) -> None:
        """Nothing to do."""

    def finish(self, exit_code: ExitCode) -> ExitCode:
        """Nothing to do."""
        return exit_code


class _InTheStore:
    """Results that are sent to a store."""

    def __init__(self, uploads: Uploads, patience_s: float) -> None:
        self._uploads = uploads
        self._patience_s = patience_s
        self.is_finished = False

    def publish(self, folders: Iterable[Path]) -> None:
        """Send them."""
        self._uploads.publish(folders)

    def refresh(self) -> None:
        """Send them."""
        self._uploads.refresh()

    def finish(self, exit_code: ExitCode) -> ExitCode:
        """Send what is left."""
        self.is_finished = True
        is_stopped = exit_code is ExitCode.STOPPED
        with ignoring_signals() if is_stopped else nullcontext():  # a Slurm job repeats the signal that stopped it
            is_sent = self._uploads.finish(PATIENCE_OF_A_STOPPED_RUN_S if is_stopped else self._patience_s)
        return exit_code if is_sent or exit_code is not ExitCode.SETTLED else ExitCode.STOPPED


@contextmanager
def results_of_tool(values: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Results]]:
    """Where a tool works and its results go; as `results_of`.

    Args:
        values: Its configuration; `path_to_output` names a run.

    Yields:
        The configuration with a path, and the results.

    Raises:
        UserError: Likewise, or the place holds no run.
    """
    place = values.get("path_to_output")
    if not is_store_url(place):
        yield values, _InTheFolder()
        return
    find_run(place)
    settings = Settings.from_config({"path_to_input": "", "path_to_output": place, "cluster": values["cluster"]})
    make_work_folder(settings)
    settings.path_to_output.mkdir(parents=True, exist_ok=True)
    with results_of(settings, RunLayout.of(settings)) as results:
        yield {**values, "path_to_output": str(settings.path_to_output)}, results


def make_work_folder(settings: Settings) -> None:
    """Make the folder of the work folders, if the run has one: it is closed to other users.

    Raises:
        UserError: It cannot be used.
    """
    if settings.store is not None:
        make_private_base(settings.path_to_output.parent.parent)


@contextmanager
def results_of(settings: Settings, layout: RunLayout) -> Iterator[Results]:
    """Where the run's results go; a run in a store is held, and its work folder is up to date, during the block.

    Raises:
        FolderBusyError: Another process holds it.
        UserError: The store cannot be used.
    """
    if settings.store is None:
        yield _InTheFolder()
        return
    with held(settings.store, layout) as mirror:
        uploads = Uploads(mirror, layout, str(settings.store))
        results = _InTheStore(uploads, settings.network.outage_patience_s)
        uploads.start()
        try:
            yield results
        finally:
            if not results.is_finished:  # it failed, or was stopped: what it has is worth as much
                uploads.finish(PATIENCE_OF_A_STOPPED_RUN_S)


@contextmanager
def held(url: StoreUrl, layout: RunLayout, store: ObjectStore | None = None) -> Iterator[Mirror]:
    """Hold a run, with its work folder up to date.

    Args:
        store: The run's place; opened by default.

    Raises:
        As `results_of`.
    """
    store = store or open_store(url)
    lease = StoreLease(store, layout.root, str(url))
    last = lease.acquire()
    try:
        note = WorkNote.load(layout.root)
        if note is None or not note.is_whole or (last and last != note.work):
            note = _take_over(url, layout, store, note)
        mirror = Mirror(store, layout, SentObjects(layout.root / STORE / _SENT), lambda: lease.is_ours)
        mirror.take_edited(layout.ignored_table)
        lease.claim(note.work)
        yield mirror
    finally:
        lease.release()


def _take_over(url: StoreUrl, layout: RunLayout, store: ObjectStore, note: WorkNote | None) -> WorkNote:
    """Make the work folder what the store has."""
    if note is None or note.is_whole:  # what another machine has changed since is not what is here
        _clear(layout.root)
        note = WorkNote.new(str(url))
        note.save(layout.root)
    found = store.read(layout.settings_file.name)
    named = RunLayout(layout.root, stored_structure(found[0])) if found else layout
    files = Mirror(store, named, SentObjects(layout.root / STORE / _SENT)).pull()
    if files:
        # A warning, as nothing else is shown before the run holds its folder: it has taken its time.
        _log.warning("%s: %d files fetched into %s; what was only in journals elsewhere is downloaded again",
                  url, files, layout.root)  # fmt: skip
    whole = WorkNote(note.url, note.work, is_whole=True)
    whole.save(layout.root)
    return whole


def _clear(root: Path) -> None:
    for path in root.iterdir():
        if path.name.startswith(".lock"):  # held by this process
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
