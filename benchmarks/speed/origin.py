"""An nginx on loopback that serves a folder under any number of URLs, in the clear or by TLS with its own authority."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

#: `/<any number>/<file>` is the file, so that a list of any length needs few files.
_CONFIG = """
worker_processes 1; daemon off; pid {work}/pid; error_log {work}/error.log; {user}
events {{ worker_connections 4096; }}
http {{
  access_log {log}; sendfile on; tcp_nopush on; keepalive_requests 1000000; types {{ image/jpeg jpg; }}
  client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
  uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
  server {{
    listen 127.0.0.1:{port}{tls};
    root {files};
    location / {{ rewrite ^/[0-9]+/(.*)$ /$1 break; }}
  }}
}}
"""
_TLS = " ssl{http2}; ssl_certificate {work}/chain.pem; ssl_certificate_key {work}/key.pem"
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Origin:
    """A running nginx.

    Args:
        base_url: Without a slash at its end.
        authority: PEM file of who vouches for it, where it speaks TLS.
        log: One line a request (time in seconds), where it was asked for.
    """

    base_url: str
    authority: Path | None
    log: Path

    def urls(self, files: list[Path], rows: int) -> list[str]:
        """A list of so many different URLs."""
        return [f"{self.base_url}/{row}/{files[row % len(files)].name}" for row in range(rows)]


@contextmanager
def running_nginx(files: Path, *, tls: bool = False, http2: bool = True, logs: bool = False) -> Iterator[Origin]:
    """Serve with one worker process, for as long as the `with` block lasts.

    Raises:
        RuntimeError: There is no nginx on the PATH, or it does not start.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        raise RuntimeError("this benchmark needs nginx, e.g. apt-get install nginx-light")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        authority = _certificate(work) if tls else None
        port = _free_port()
        text = _CONFIG.format(
            work=work, port=port, files=files, user="user root;" if os.geteuid() == 0 else "",
            log=f"{work}/access.log main" if logs else "off",
            tls=_TLS.format(work=work, http2=" http2" if http2 else "") if tls else "",
        )  # fmt: skip
        (work / "nginx.conf").write_text(
            text.replace("access_log", "log_format main '$msec $status';\n  access_log", 1)
        )
        with subprocess.Popen([program, "-p", folder, "-c", str(work / "nginx.conf")]) as process:
            try:
                _await(port, process, work)
                yield Origin(f"{'https' if tls else 'http'}://127.0.0.1:{port}", authority, work / "access.log")
            finally:
                process.terminate()


def _certificate(work: Path) -> Path:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(str(work / "chain.pem"), append=True)
    certificate.private_key_pem.write_to_path(str(work / "key.pem"))
    path = work / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _await(port: int, process: subprocess.Popen[bytes], work: Path) -> None:
    until_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > until_s:
                raise RuntimeError(f"nginx did not start: {(work / 'error.log').read_text()}") from None
            time.sleep(0.05)
        else:
            return
