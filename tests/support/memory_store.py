"""An object store in memory, which writes down what is done to it and can fail or end the process at any request."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

from ray_downloader.stores.base import ChangedMeanwhileError, StoredObject, StoreError

EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)


class Killed(BaseException):
    """The process ends here."""


class MemoryStore:
    """An `ObjectStore`.

    Attributes:
        objects: Contents by key.
        requests: What was done, such as `put images/...`, in order.
        before: Called with each request; raises to make it fail.
        after: Called when it is done.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.before: Callable[[str], None] = lambda _: None
        self.after: Callable[[str], None] = lambda _: None
        self._lock = threading.RLock()

    def list(self) -> Iterator[StoredObject]:
        self.before("list")
        yield from [self._stored(key) for key in sorted(self.objects)]

    def read(self, key: str) -> tuple[bytes, StoredObject] | None:
        self.before(f"read {key}")
        content = self.objects.get(key)
        return None if content is None else (content, self._stored(key))

    def download(self, key: str, path: Path) -> None:
        self._do(f"get {key}", lambda: path.write_bytes(self.objects[key]))

    def put_file(self, key: str, path: Path) -> str:
        return self.put(key, path.read_bytes())

    def put(self, key: str, content: bytes) -> str:
        self._do(f"put {key}", lambda: self.objects.update({key: content}))
        return etag(content)

    def replace(self, key: str, content: bytes, expected: str | None) -> str:
        with self._lock:
            known = self.objects.get(key)
            if (None if known is None else etag(known)) != expected:
                raise ChangedMeanwhileError(key)
            return self.put(key, content)

    def delete(self, key: str) -> None:
        self._do(f"delete {key}", lambda: self.objects.pop(key, None))

    def _do(self, request: str, action: Callable[[], object]) -> None:
        with self._lock:
            self.before(request)
            self.requests.append(request)
            action()
            self.after(request)

    def _stored(self, key: str) -> StoredObject:
        return StoredObject(key, len(self.objects[key]), etag(self.objects[key]), EPOCH)


def etag(content: bytes) -> str:
    """As S3 makes it of a small object."""
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def failing(message: str = "no answer", *, may_pass: bool = True, times: int = 1_000_000) -> Callable[[str], None]:
    """Let the next requests fail."""
    left = [times]

    def fail(_request: str) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise StoreError(message, may_pass=may_pass)

    return fail
