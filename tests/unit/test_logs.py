"""Messages where somebody watches and where only a log is kept."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from ray_downloader.logs import FACTS, Form, log_to_file, start_logging


def test_a_long_message_is_one_line_of_a_jobs_log_and_of_the_file(tmp_path: Path) -> None:
    log = io.StringIO()
    start_logging(tmp_path, "INFO", Console(file=log))
    sentence = "a server " + "with a long name " * 20 + "end"
    logging.getLogger("ray_downloader.test").info(sentence)
    assert sentence in log.getvalue()
    assert sentence in (tmp_path / "driver.log").read_text("utf-8")


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    logger = logging.getLogger("ray_downloader")
    before = list(logger.handlers), logger.level, logger.propagate
    yield
    for handler in logger.handlers:
        handler.close()
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("is_watched", [True, False], ids=["screen", "job"])
def test_no_log_has_a_password_of_a_url(tmp_path: Path, form: Form, is_watched: bool) -> None:
    log = io.StringIO()
    messages = logging.getLogger("ray_downloader.test")
    for start in (
        lambda: start_logging(tmp_path, "DEBUG", Console(file=log, force_terminal=is_watched, width=300), form),
        lambda: log_to_file(tmp_path, "worker", "DEBUG", form),
    ):
        start()
        messages.debug("%s: requested (%s)", "http://us er:secret@a.example/1", "https://user:secret@a.example/1")
        messages.info("a sentence about http://user:secret@a.example/1", extra={FACTS: {"url": "http://u:secret@a/"}})
        try:
            raise ValueError("http://user:secret@a.example/1")
        except ValueError as error:
            messages.exception("%s", error)
    texts = [log.getvalue(), *(path.read_text("utf-8") for path in tmp_path.iterdir())]
    assert len(texts) == 3
    for text in texts:
        assert "http://a.example/1" in text and "Traceback" in text
        assert "secret" not in text
