"""As much of Google Cloud Storage's XML API as `obstore` speaks, on loopback, with generations and preconditions.

https://cloud.google.com/storage/docs/xml-api/reference-methods. Of the emulators in package registries none checks the
precondition of an upload through this API.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "pictures"


@dataclass(frozen=True, slots=True)
class _Object:
    content: bytes
    generation: int
    etag: str


@dataclass(slots=True)
class GoogleStore:
    """What the server holds.

    Args:
        endpoint: Its URL.
        requests: Method and key of each request.
    """

    endpoint: str = ""
    objects: dict[str, _Object] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    _uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    _generations: Iterator[int] = field(default_factory=lambda: count(1_700_000_000_000_000))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, key: str, content: bytes, must_be: str | None) -> _Object | None:
        """Store an object; None if another generation is there than that which was to be replaced (`0`: none)."""
        with self._lock:
            there = self.objects.get(key)
            if must_be is not None and int(must_be) != (there.generation if there else 0):
                return None
            etag = f'"{hashlib.md5(content).hexdigest()}"'
            self.objects[key] = _Object(content, next(self._generations), etag)
            return self.objects[key]

    def begin(self) -> str:
        """Begin an upload in parts."""
        with self._lock:
            name = f"upload-{len(self._uploads)}"
            self._uploads[name] = {}
            return name

    def add(self, upload: str, number: int, content: bytes) -> None:
        """Take a part of an upload."""
        self._uploads[upload][number] = content

    def whole(self, upload: str) -> bytes:
        """All parts of an upload."""
        parts = self._uploads.pop(upload)
        return b"".join(parts[number] for number in sorted(parts))


@contextmanager
def google_store() -> Iterator[GoogleStore]:
    """The server, as long as the `with` block."""
    store = GoogleStore()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(store)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        host, port = server.server_address[:2]
        store.endpoint = f"http://{host!s}:{port}"
        try:
            yield store
        finally:
            server.shutdown()
            thread.join()


def _handler(store: GoogleStore) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _parse(self) -> tuple[str, dict[str, str], bytes]:
            parts = urlsplit(self.path)
            key = unquote(parts.path).removeprefix(f"/{BUCKET}").removeprefix("/")
            query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            store.requests.append((self.command, key))
            return key, query, self.rfile.read(int(self.headers.get("content-length", 0)))

        def _answer(self, status: int, body: bytes = b"", found: _Object | None = None) -> None:
            self.send_response(status)
            if found:
                self.send_header("etag", found.etag)
                self.send_header("x-goog-generation", str(found.generation))
                self.send_header("last-modified", formatdate(0, usegmt=True))
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_PUT(self) -> None:
            key, query, content = self._parse()
            if "uploadId" in query:
                store.add(query["uploadId"], int(query["partNumber"]), content)
                etag = f'"{hashlib.md5(content).hexdigest()}"'
                self._answer(200, found=_Object(b"", 0, etag))
                return
            found = store.put(key, content, self.headers.get("x-goog-if-generation-match"))
            if found:
                self._answer(200, found=found)
            else:
                self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")

        def do_POST(self) -> None:
            key, query, _ = self._parse()
            if "uploads" in query:
                name = f"<UploadId>{store.begin()}</UploadId>"
                body = f"<InitiateMultipartUploadResult>{name}</InitiateMultipartUploadResult>"
                self._answer(200, body.encode())
                return
            found = store.put(key, store.whole(query["uploadId"]), None)
            assert found is not None
            etag = f"<ETag>{escape(found.etag)}</ETag>"
            body = f"<CompleteMultipartUploadResult>{etag}</CompleteMultipartUploadResult>"
            self._answer(200, body.encode(), found)

        def do_GET(self) -> None:
            key, query, _ = self._parse()
            if not key:
                self._answer(200, self._listing(query.get("prefix", "")))
            elif found := store.objects.get(key):
                self._answer(200, found.content, found)
            else:
                self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_DELETE(self) -> None:
            key, _, _ = self._parse()
            self._answer(204 if store.objects.pop(key, None) else 404)

        def _listing(self, prefix: str) -> bytes:
            contents = "".join(
                f"<Contents><Key>{escape(key)}</Key><Size>{len(found.content)}</Size><ETag>{escape(found.etag)}</ETag>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                for key, found in sorted(store.objects.items())
                if key.startswith(prefix)
            )
            return f"<ListBucketResult>{contents}</ListBucketResult>".encode()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler
