"""A whole run with secrets: worker processes send them, and no file that the run leaves holds them."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from tests.support.job import ENVIRONMENT, RunFolder, as_override, run_program
from tests.support.running import RunningOrigin

BASIC = f"Basic {base64.b64encode(b'user:s3cret-of-url').decode()}"
pytestmark = [pytest.mark.ray, pytest.mark.thorough]


def test_secrets_reach_the_servers_of_the_list_and_no_file(
    tmp_path: Path, origin: RunningOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENVIRONMENT, "MY_TOKEN", "s3cret-of-rule")
    urls = [
        "http://private-a.example/1.jpg",
        "http://private-a.example/echo/2.jpg",
        "http://private-b.example/redirect/3.jpg?to=http://foreign.example/3.jpg",
        "http://user:s3cret-of-url@private-c.example/4.jpg",
        "http://user:s3cret-of-url@private-c.example/status/404/5.jpg",
        "http://user:s3cret-of-url@private-c.example/html/6.jpg",
        "http://user:s3cret-of-url@private-c.example/echo/7.jpg",
    ]
    (tmp_path / "list.txt").write_text("\n".join(urls) + "\n", "utf-8")
    out = RunFolder(tmp_path / "out")
    done = run_program(
        f"path_to_input={tmp_path / 'list.txt'}", f"path_to_output={out.root}", "stages=[partition,download]",
        "downloader_parameters.header='X-Key: s3cret-of-all'", "politeness.robots=ignore",
        "politeness.rules=[{server: private-a.example, headers_env: {Authorization: MY_TOKEN}}]",
        "downloader_parameters.default_rate_limit=200", as_override("network.connect_to", origin.connect_to),
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sent = {entry.host: (entry.headers.get("x-key"), entry.headers.get("authorization")) for entry in origin.seen()}
    assert sent == {
        "private-a.example": ("s3cret-of-all", "s3cret-of-rule"),
        "private-b.example": ("s3cret-of-all", None),
        "foreign.example": (None, None),
        "private-c.example": ("s3cret-of-all", BASIC),
    }
    messages = dict(zip(out.errors()["identifier"].to_pylist(), out.errors()["error_msg"].to_pylist(), strict=True))
    assert messages[urls[1]] == "HTTP status 403: You sent [redacted] and None."
    assert messages["http://private-c.example/echo/7.jpg"] == "HTTP status 403: You sent Basic [redacted] and None."
    assert messages.keys() == {urls[1], *(url.replace("user:s3cret-of-url@", "") for url in urls[4:])}
    found = out.successes(["identifier", "final_url"]).to_pylist()
    assert {"identifier": "http://private-c.example/4.jpg", "final_url": "http://private-c.example/4.jpg"} in found
    assert "s3cret" not in done.stdout + done.stderr
    holding = [file for file in out.root.rglob("*") if file.is_file() and b"s3cret" in file.read_bytes()]
    assert {file.parent.name for file in holding} <= {"urls"}, "only the list itself, which has to be read again"
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in (out.root / "urls").iterdir())
    assert stat.S_IMODE((out.root / "urls").stat().st_mode) == 0o700
