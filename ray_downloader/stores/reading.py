"""A run for those who only read it: its folder; for a URL the work folder if that is here, else a copy of its files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ray_downloader.config.store_url import StoreUrl, is_store_url, private_base
from ray_downloader.errors import UserError
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.stored_structure import stored_structure
from ray_downloader.run_folder.work_folder import STORE, WorkNote, make_private_base
from ray_downloader.stores.base import ObjectStore
from ray_downloader.stores.client import open_store
from ray_downloader.stores.lease import LEASE, Holder
from ray_downloader.stores.mirror import Mirror
from ray_downloader.stores.sent_objects import SentObjects

_SETTINGS = "settings.json"
_SENT = "copied.jsonl"


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run to read.

    Args:
        folder: Its files on this machine.
        place: What the user calls it.
        store: Where it is, if `folder` is a work folder or a copy.
        is_copy: Whether it is a copy, which has no effect on the run.
    """

    folder: Path
    place: str
    store: ObjectStore | None = None
    is_copy: bool = False

    def refresh(self, is_wanted: Callable[[RunLayout, str], bool]) -> None:
        """Make a copy what the store has now.

        Args:
            is_wanted: Which files the reader needs.

        Raises:
            UserError: The store cannot be used.
        """
        if self.store is None or not self.is_copy:
            return
        found = self.store.read(_SETTINGS)
        layout = RunLayout(self.folder, stored_structure(found[0] if found else b"{}"))
        sent_objects = SentObjects(self.folder / STORE / _SENT)
        Mirror(self.store, layout, sent_objects).pull(lambda key: is_wanted(layout, key))
        lease = self.store.read(LEASE)
        if lease is not None and layout.progress_file.exists():  # renewed while the run lives: its heartbeat
            seen_at_s = lease[1].modified_at.timestamp()
            os.utime(layout.progress_file, (seen_at_s, seen_at_s))

    def send(self, paths: list[Path]) -> None:
        """Send files that were made here from the run.

        Raises:
            UserError: The store cannot be used.
        """
        if self.store is not None:
            for path in paths:
                self.store.put_file(path.relative_to(self.folder).as_posix(), path)


def find_run(out: str) -> FoundRun:
    """The run at a path or URL, which may be given as the run's own command gives it (`path_to_output=out`).

    Raises:
        UserError: The URL is not usable, or no run is there.
    """
    out = out.removeprefix("path_to_output=")
    if not is_store_url(out):
        return FoundRun(Path(out), out)
    url = StoreUrl.parse(out)
    store = open_store(url)
    lease = store.read(LEASE)
    if lease is None and store.read(_SETTINGS) is None:
        raise UserError(f"{url} holds no run")
    holder = Holder.parse(lease[0]) if lease else Holder()
    if _is_work_folder(holder):
        return FoundRun(Path(holder.folder), str(url), store)
    base = private_base(Path(tempfile.gettempdir()))
    make_private_base(base)
    folder = url.work_folder(base / "copies")
    WorkNote(str(url), "").save(folder)
    return FoundRun(folder, str(url), store, is_copy=True)


def whole_run(out: str, key: str) -> Path:
    """The folder of a run at a path or URL, with all its files here.

    Args:
        key: The setting that names it, for what is said about it.

    Raises:
        UserError: The URL is not usable, or no run is there.
    """
    try:
        found = find_run(out)
        found.refresh(all_files)
    except UserError as error:
        raise UserError(f"{key}: {str(error).removeprefix('path_to_output=')}") from None
    return found.folder


def work_folder_of(out: str) -> Path:
    """The folder in which the run at a path or URL works, for orders to it.

    Raises:
        UserError: The URL is not usable, or the run works on another machine.
    """
    found = find_run(out)
    if not found.is_copy:
        return found.folder
    lease = found.store.read(LEASE) if found.store else None
    holder = Holder.parse(lease[0]) if lease else Holder()
    raise UserError(
        f"{found.place} is worked on in {holder.folder or 'no folder'} on {holder.host or 'no machine'}: give the "
        "order there, as orders go through files of that folder"
    )


def _is_work_folder(holder: Holder) -> bool:
    """Whether the folder that last sent the run's files can be read here."""
    note = WorkNote.load(Path(holder.folder)) if holder.folder else None
    return note is not None and bool(holder.work) and note.work == holder.work


def small_files(layout: RunLayout, key: str) -> bool:
    """What `status` needs: no images, no results of tools, no rows."""
    first, slash, _ = key.partition("/")
    return not slash or key == _key(layout, layout.progress_file) or first == _key(layout, layout.schedules)


def all_files(_layout: RunLayout, _key: str) -> bool:
    """What `report` needs."""
    return True


def _key(layout: RunLayout, path: Path) -> str:
    return path.relative_to(layout.root).as_posix()
