"""Makes a run's place in the store what its work folder is, or a work folder what the store has.

Up: the marker of what has changed is removed first, then data, then markers, then what says how far the run has come;
what the work folder has no more is removed last. So a kill at any time leaves nothing that a reader would believe, and
doing it again sends only what is missing. Down: the note that the folder is whole is written last.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.markers import COMPLETED
from ray_downloader.stores.base import ObjectStore, StoredObject, StoreError
from ray_downloader.stores.client import PART_BYTES
from ray_downloader.stores.lease import LEASE
from ray_downloader.stores.published import LocalFile, Turn, is_left_over, published, turn_of
from ray_downloader.stores.sent_objects import Sent, SentObjects

#: Files that are sent or fetched at once: enough to fill a line in spite of what each request waits for.
AT_ONCE = 8
T = TypeVar("T")
R = TypeVar("R")


class Mirror:
    """The files of a run, here and in the store.

    Args:
        is_ours: Whether this process still holds the run; it sends nothing if another has taken it over.
    """

    def __init__(
        self,
        store: ObjectStore,
        layout: RunLayout,
        sent_objects: SentObjects,
        is_ours: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store = store
        self._layout = layout
        self._sent_objects = sent_objects
        self._is_ours = is_ours

    def compare(self) -> None:
        """Ask the store what it has: others may have removed objects, and a kill hides whether the last ones went up.

        Raises:
            StoreError: It does not say.
        """
        found = {each.key: each for each in self._store.list()}
        for key in self._sent_objects.all().keys() - found.keys():
            self._sent_objects.forget(key)
        for key, sent in self._sent_objects.all().items():
            if sent.etag != found[key].etag:
                self._sent_objects.note(key, self._recognised(found[key]))

    def _recognised(self, found: StoredObject) -> Sent:
        """What to note about an object that is not the one that was sent, as far as is known."""
        path = self._layout.root / found.key
        try:
            status = path.stat()
            if status.st_size == found.size_bytes and found.etag and found.etag == etag_of(path, found.etag):
                return Sent(status.st_size, status.st_mtime_ns, found.etag)
        except OSError:
            pass
        return Sent()

    def push_all(self) -> bool:
        """Send everything that is not there, and remove what is not published any more; as `push`."""
        files = list(published(self._layout))
        here = {file.key for file in files}
        gone = [key for key in self._sent_objects.all() if key not in here and not is_left_over(self._layout, key)]
        return self.push(files, gone)

    def push(self, files: Sequence[LocalFile], gone: Iterable[str] = ()) -> bool:
        """Send those of the files that are not there.

        Args:
            gone: Objects to remove.

        Returns:
            Whether all are there now: a file may be replaced while it is sent, and is sent again later.

        Raises:
            StoreError: The store took only some of them, or none.
        """
        gone = sorted(gone)
        changed = {_folder(file.key) for file in files if file.turn is Turn.DATA and not self._is_there(file)}
        markers = [f"{folder}/{COMPLETED}" for folder in changed if self._sent_objects[f"{folder}/{COMPLETED}"]]
        self._each([*markers, *(key for key in gone if turn_of(key) is Turn.MARKER)], self._remove)
        beside: dict[str, list[LocalFile]] = defaultdict(list)
        for file in files:
            if file.turn is Turn.DATA:
                beside[_folder(file.key)].append(file)
        is_whole = True
        for turn in Turn:
            due = [file for file in files if file.turn is turn and not self._is_there(file)]
            is_whole &= all(self._each(due, lambda file: self._send(file, beside)))
        self._each([key for key in gone if turn_of(key) is not Turn.MARKER], self._remove)
        return is_whole

    def _is_there(self, file: LocalFile) -> bool:
        sent = self._sent_objects[file.key]
        return sent is not None and bool(sent.etag) and (sent.size_bytes, sent.mtime_ns) == _stamp(file)

    def _send(self, file: LocalFile, beside: dict[str, list[LocalFile]]) -> bool:
        """Send one file; False if it changed meanwhile, or if it marks files that did."""
        if self._sent_objects[file.key] is None:
            self._sent_objects.note(file.key, Sent())
        try:
            if file.turn is Turn.DATA:
                etag = self._store.put_file(file.key, file.path)
            else:
                content = file.path.read_bytes()
                if file.turn is Turn.MARKER and any(_has_changed(each) for each in beside[_folder(file.key)]):
                    return False
                etag = self._store.put(file.key, content)
        except FileNotFoundError:
            return False
        if _has_changed(file):
            self._sent_objects.note(file.key, Sent())
            return False
        self._sent_objects.note(file.key, Sent(*_stamp(file), etag))
        return True

    def _remove(self, key: str) -> None:
        self._store.delete(key)
        self._sent_objects.forget(key)

    def pull(self, is_wanted: Callable[[str], bool] = lambda _: True) -> int:
        """Make the folder what the store has; returns how many files were fetched.

        Args:
            is_wanted: Which objects.

        Raises:
            StoreError: Some could not be fetched.
        """
        found = [each for each in self._store.list() if _is_of_a_run(self._layout, each.key)]
        for key in self._sent_objects.all().keys() - {each.key for each in found}:
            (self._layout.root / key).unlink(missing_ok=True)
            self._sent_objects.forget(key)
        due = [each for each in found if is_wanted(each.key) and not self._is_here(each)]
        for turn in Turn:  # one after the other, as several are fetched at once
            self._each([each for each in due if turn_of(each.key) is turn], self._fetch)
        return len(due)

    def take_edited(self, path: Path) -> None:
        """Fetch a small file that users write, if they changed it in the store and not here.

        Raises:
            StoreError: The store does not say.
        """
        key = path.relative_to(self._layout.root).as_posix()
        found, sent = self._store.read(key), self._sent_objects[key]
        status = path.stat() if path.exists() else None
        is_edited_here = status is not None and (sent is None or _stamp_of(status) != (sent.size_bytes, sent.mtime_ns))
        if found is not None and not is_edited_here and (sent is None or sent.etag != found[1].etag):
            self._fetch(found[1])

    def _is_here(self, found: StoredObject) -> bool:
        sent, path = self._sent_objects[found.key], self._layout.root / found.key
        try:
            status = path.stat()
        except OSError:
            return False
        return bool(found.etag) and sent == Sent(status.st_size, status.st_mtime_ns, found.etag)

    def _fetch(self, found: StoredObject) -> None:
        path = self._layout.root / found.key
        with replacing(path) as temp:
            self._store.download(found.key, temp)
            if temp.stat().st_size != found.size_bytes:
                raise StoreError(f"{found.key} changed while it was fetched; run the same command again", may_pass=True)
        status = path.stat()
        self._sent_objects.note(found.key, Sent(status.st_size, status.st_mtime_ns, found.etag))

    def _each(self, items: Sequence[T], action: Callable[[T], R]) -> list[R]:
        """Do it for all, several at once; after a failure, nothing else is begun.

        Raises:
            StoreError: The first failure; or another process has the run now.
        """
        is_failed = threading.Event()

        def act(item: T) -> R | None:
            if is_failed.is_set():
                return None
            try:
                if not self._is_ours():
                    raise StoreError("another run took over the place in the store", may_pass=False)
                return action(item)
            except BaseException:
                is_failed.set()
                raise

        if not items:
            return []
        with ThreadPoolExecutor(min(AT_ONCE, len(items)), thread_name_prefix="store") as threads:
            futures = [threads.submit(act, item) for item in items]
        return [result for future in futures if (result := future.result()) is not None]


def etag_of(path: Path, like: str) -> str:
    """The etag that S3 gives a file that was sent as this program sends it; stores that encrypt give others.

    Args:
        like: The etag of an object, which shows whether it was sent in parts.
    """
    with path.open("rb") as file:
        if "-" not in like:
            whole = hashlib.md5(usedforsecurity=False)
            for part in iter(lambda: file.read(PART_BYTES), b""):
                whole.update(part)
            return f'"{whole.hexdigest()}"'
        parts = [_md5(part) for part in iter(lambda: file.read(PART_BYTES), b"")]
    return f'"{_md5(b"".join(parts)).hex()}-{len(parts)}"'


def _md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()


def _is_of_a_run(layout: RunLayout, key: str) -> bool:
    """Whether a run has such a file: the place may hold more, such as a whole bucket."""
    folders = (layout.urls, layout.images, layout.schedules, layout.logs, layout.tools, layout.manifests)
    first, slash, _ = key.partition("/")
    return first != LEASE and (not slash or first in {path.relative_to(layout.root).parts[0] for path in folders})


def _folder(key: str) -> str:
    return key.rpartition("/")[0]


def _stamp(file: LocalFile) -> tuple[int, int]:
    return file.size_bytes, file.mtime_ns


def _stamp_of(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _has_changed(file: LocalFile) -> bool:
    try:
        status = file.path.stat()
    except FileNotFoundError:
        return True
    return _stamp_of(status) != _stamp(file)
