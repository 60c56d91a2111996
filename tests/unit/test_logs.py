"""Messages where somebody watches and where only a log is kept."""

from __future__ import annotations

import io
import logging
from pathlib import Path

from rich.console import Console

from ray_downloader.logs import start_logging


def test_a_long_message_is_one_line_of_a_jobs_log_and_of_the_file(tmp_path: Path) -> None:
    log = io.StringIO()
    start_logging(tmp_path, "INFO", Console(file=log))
    sentence = "a server " + "with a long name " * 20 + "end"
    logging.getLogger("ray_downloader.test").info(sentence)
    assert sentence in log.getvalue()
    assert sentence in (tmp_path / "driver.log").read_text("utf-8")
