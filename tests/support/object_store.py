"""A real S3 server on loopback, in a process of its own, which writes down its requests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ray_downloader.config.store_url import StoreUrl
from ray_downloader.stores.base import StoredObject
from ray_downloader.stores.client import Client, open_store
from tests.support.running import CHECKOUT

#: Credentials that the server accepts, as it accepts any; they must never be in a file.
KEY, SECRET = "AKIALOOPBACKKEY", "loopback-secret-that-is-nowhere"
BUCKET = "pictures"


@dataclass(frozen=True, slots=True)
class RunningStore:
    """The server.

    Args:
        endpoint: Its URL.
        log: File with its requests.
    """

    endpoint: str
    log: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """What points the stores' tools here, and away from this machine's own configuration."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }  # fmt: skip

    def requests(self, method: str = "PUT") -> list[str]:
        """Keys of the requests so far, with the bucket, in order of their answers."""
        found = re.findall(rf'"{method} /(\S+) HTTP', self.log.read_text("utf-8", "replace"))
        return [key.replace("%3D", "=").replace("%253A", "%3A") for key in found]

    def open(self, url: str) -> Client:
        """A place in it; for a process that has the environment."""
        return open_store(StoreUrl.parse(url))

    def objects(self, url: str) -> dict[str, StoredObject]:
        """What is at a place."""
        return {found.key: found for found in self.open(url).list()}


@contextmanager
def running_store(folder: Path) -> Iterator[RunningStore]:
    """The server, as long as the `with` block."""
    log = folder / "requests.log"
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.object_store"],
            cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True,
        ) as process,
    ):  # fmt: skip
        assert process.stdin and process.stdout
        try:
            endpoint = process.stdout.readline().strip()
            assert endpoint, log.read_text("utf-8", "replace")
            yield RunningStore(endpoint, log)
        finally:
            process.stdin.close()


def serve() -> None:
    """Run until standard input ends; the first line of the output is the server's URL."""
    import contextlib

    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0)
    with contextlib.redirect_stdout(sys.stderr):
        server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    access = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=endpoint, **access).create_bucket(Bucket=BUCKET)
    sys.stdout.write(f"{endpoint}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    serve()
