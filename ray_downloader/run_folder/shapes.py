"""What the readers of `logs/progress.json` and `summary.json` rely on: a file without it is damaged.

Both are read by other processes than those that wrote them, and by other versions, so they may have more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ray_downloader.run_folder.small_json import read_object


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Rows(_Shape):
    input: int
    rejected: int
    successes: int
    errors: int


class _RowsAndLeft(_Rows):
    left: int


class _Wait(_Shape):
    server: str
    rows: int
    reason: str
    until: str | None


class _Slow(_Shape):
    server: str
    rows: int
    eta_s: float


class _Progress(_Shape):
    state: str
    stage: str = ""
    host: str = ""
    pid: int = 0
    process_started_s: float = 0.0
    rows: _RowsAndLeft | None = None
    images_per_s: float = 0.0
    received_mb_per_s: float = 0.0
    stored_mb_per_s: float = 0.0
    eta_s: float | None = None
    waiting: list[_Wait] = []
    slowest: list[_Slow] = []
    errors_by_kind: dict[str, int] = {}


class _Download(_Shape):
    seconds: float
    images_per_s: float
    bytes: int


class _Server(_Shape):
    successes: int
    errors: int
    errors_by_kind: dict[str, int]


class _Summary(_Shape):
    rows: _Rows
    unsettled_rows: int
    errors_by_kind: dict[str, int] = {}
    robots_disallowed: dict[str, int] = {}
    renditions: dict[str, int] = {}
    download: _Download | None = None
    servers: dict[str, _Server] = {}


def read_progress(path: Path) -> dict[str, Any]:
    """The content of `logs/progress.json`.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not such a file.
    """
    return _shaped(path, _Progress)


def read_summary(path: Path) -> dict[str, Any]:
    """The content of `summary.json`.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not such a file.
    """
    return _shaped(path, _Summary)


def _shaped(path: Path, shape: type[_Shape]) -> dict[str, Any]:
    document = read_object(path)
    try:
        shape.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None
    return document
