"""A port of the dashboard that somebody else listens on is refused before any work."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.pipeline import run
from ray_downloader.run_folder.layout import RunLayout


def test_a_busy_port_is_refused_before_the_list_is_read(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("http://127.0.0.1:9/1.jpg\n", "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = Settings.from_config(
            {
                "path_to_input": str(tmp_path / "list.txt"),
                "path_to_output": tmp_path / "out",
                "cluster": {"dashboard_port": port},
            }
        )
        with pytest.raises(
            UserError, match=rf"cluster.dashboard_port={port} cannot be used \(.*\): choose another port"
        ):
            run(settings)
    assert not RunLayout.of(settings).urls.exists()
