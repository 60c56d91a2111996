"""Where messages go: to the screen in short, to `logs/` in full, one file per process, as text or as JSON lines.

Users and passwords of URLs are left out of all of them, at whatever level, and of tracebacks.
"""

from __future__ import annotations

import json
import logging
import os
import platform
from contextlib import suppress
from datetime import datetime, timezone
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.logging import RichHandler

from ray_downloader.partition.server_key import without_user_info

Form = Literal["text", "json"]

#: A file is continued in another one after this many bytes, and so many of these are kept.
MAX_FILE_BYTES = 20_000_000
KEPT_FILES = 4
#: Attribute of a record with its facts by name, for lines of JSON: `_log.info(..., extra={FACTS: {...}})`.
FACTS = "facts"
_PACKAGE = "ray_downloader"
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """A record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line = {"time": at, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return without_user_info(json.dumps({**line, **getattr(record, FACTS, {})}, ensure_ascii=False, default=str))


class TextLines(logging.Formatter):
    """A record as text."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or several with a traceback."""
        return without_user_info(super().format(record))


def _leave_user_info_out(record: logging.LogRecord) -> bool:
    """In a sentence, a URL with a blank in its user could not be told from words."""
    if isinstance(record.args, tuple):
        record.args = tuple(without_user_info(one) if isinstance(one, str) else one for one in record.args)
    return True


def start_logging(folder: Path, level: str, console: Console, form: Form = "text") -> None:
    """Send the package's messages to the console and to `<folder>/driver.log`, which later runs continue."""
    file = _file(folder / "driver.log", form)
    with suppress(OSError):  # of a full disk; the first message would not fit either
        (folder / "driver.log").touch()
    _send_to(level, file, _screen(console, form))


def log_to_file(folder: Path, role: str, level: str, form: Form = "text") -> None:
    """Send the package's messages to a file of this process: `<folder>/<role>-<host>-<process id>.log`.

    A process that did so before, for the same folder, continues.
    """
    path = folder / f"{role}-{platform.node()}-{os.getpid()}.log"
    handlers = logging.getLogger(_PACKAGE).handlers
    if [getattr(handler, "baseFilename", None) for handler in handlers] != [str(path.absolute())]:
        _send_to(level, _file(path, form))


def _send_to(level: str, *handlers: logging.Handler) -> None:
    logger = logging.getLogger(_PACKAGE)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(level)
    for handler in handlers:
        handler.addFilter(_leave_user_info_out)
        logger.addHandler(handler)
    logger.propagate = False


class _FileHandler(RotatingFileHandler):
    """A message that does not fit on a full disk is on the screen; a traceback about it would bury the reason."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Leave the message out of the file."""


def _file(path: Path, form: Form) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = _FileHandler(path, maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES, encoding="utf-8", delay=True)
    handler.setFormatter(JsonLines() if form == "json" else TextLines(_TEXT))
    return handler


def _screen(console: Console, form: Form) -> logging.Handler:
    """If nobody watches, a message stays on one line, however long: a job's log is searched by line."""
    if console.is_terminal and form == "text":
        rich = RichHandler(console=console, show_path=False, show_level=False, log_time_format="[%X]", markup=False)
        rich.setFormatter(TextLines("%(message)s"))
        return rich
    plain = logging.StreamHandler(console.file)
    plain.setFormatter(JsonLines() if form == "json" else TextLines("[%(asctime)s] %(message)s", "%Y-%m-%d %H:%M:%S"))
    return plain
