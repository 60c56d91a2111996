"""Start the origin as a process of its own, and ask it what it saw."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.log import Seen
from tests.support.options import OriginOptions

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class RunningOrigin:
    """Address of an origin process.

    Args:
        ca_bundle: File with the CA of its certificates; None without TLS.
    """

    http_port: int
    https_port: int | None = None
    ca_bundle: Path | None = None
    host: str = "127.0.0.1"

    @property
    def address(self) -> str:
        """`host:port` of the plain HTTP side."""
        return f"{self.host}:{self.http_port}"

    @property
    def connect_to(self) -> dict[str, str]:
        """`network.connect_to` that leads every host name here."""
        plain = {"*:80": self.address}
        return plain if self.https_port is None else {**plain, "*:443": f"{self.host}:{self.https_port}"}

    def url(self, target: str) -> str:
        """URL of `target` by address instead of by a host name."""
        return f"http://{self.address}{target}"

    def seen(self, host: str | None = None) -> list[Seen]:
        """Requests so far, of one host or of all, in order of arrival."""
        entries = [Seen(**entry) for entry in json.loads(self._ask("log"))]
        return [entry for entry in entries if host in {None, entry.host}]

    def files_seen(self, host: str | None = None) -> list[Seen]:
        """The same without robots.txt, which each run requests before the first file of a host."""
        return [entry for entry in self.seen(host) if entry.target != "/robots.txt"]

    def forget(self) -> None:
        """Clear the log and the visit counts."""
        self._ask("forget")

    def _ask(self, what: str) -> bytes:
        connection = http.client.HTTPConnection(self.address, timeout=30)
        try:
            connection.request("GET", f"/__origin__/{what}")
            return connection.getresponse().read()
        finally:
            connection.close()


@contextmanager
def running_origin(options: OriginOptions | None = None) -> Iterator[RunningOrigin]:
    """An origin process that lives as long as the `with` block."""
    options = options or OriginOptions()
    command = [sys.executable, "-m", "tests.support.origin", options.to_json()]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            bundle = ready.get("ca_bundle")
            bundle_path = Path(bundle) if bundle else None
            yield RunningOrigin(ready["http_port"], ready.get("https_port"), bundle_path, options.listen_on)
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
