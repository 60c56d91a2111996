"""Where messages go: to the screen in short, to `logs/` in full, one file per process."""

from __future__ import annotations

import logging
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def start_logging(folder: Path, level: str, console: Console) -> None:
    """Send the package's messages to the console and to `<folder>/driver.log`, which later runs continue."""
    folder.mkdir(parents=True, exist_ok=True)
    file = _FileHandler(folder / "driver.log", encoding="utf-8")
    file.setFormatter(logging.Formatter(_FORMAT))
    screen = _screen(console)
    logger = logging.getLogger("ray_downloader")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(level)
    logger.addHandler(file)
    logger.addHandler(screen)
    logger.propagate = False


class _FileHandler(logging.FileHandler):
    """A message that does not fit on a full disk is on the screen; a traceback about it would bury the reason."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Leave the message out of the file."""


def _screen(console: Console) -> logging.Handler:
    """If nobody watches, a message stays on one line, however long: a job's log is searched by line."""
    if console.is_terminal:
        return RichHandler(console=console, show_path=False, show_level=False, log_time_format="[%X]", markup=False)
    plain = logging.StreamHandler(console.file)
    plain.setFormatter(logging.Formatter("[%(asctime)s] %(message)s", "%Y-%m-%d %H:%M:%S"))
    return plain
