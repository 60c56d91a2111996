"""Reads JSON that may be damaged: whatever is wrong with it is a `ValueError`.

Python's own parser recurses, so a file of brackets ends in a `RecursionError`, and it accepts numbers that are none
(`NaN`, `1e999`) and halves of characters, which would raise where they are used. We write none of them.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from ray_downloader.run_folder.file_errors import require_damage

#: What a number has that is too large for a float; and how JSON escapes half of a character, of which two make one.
_LARGE = re.compile(r"[eE]\+?\d{3}|\d{300}")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str | bytes) -> Any:
    """The value that a text states.

    Raises:
        ValueError: It is not JSON, is nested too deeply, or has a number that is not finite.
    """
    shown = text if isinstance(text, str) else text.decode("utf-8", "replace")
    may_be_large = _LARGE.search(shown) is not None  # to look at each number takes as long again as to read a file
    try:
        value = json.loads(text, parse_float=_finite if may_be_large else None, parse_constant=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if _SURROGATE.search(shown):
        _require_text(value)
    return value


def parse_object(text: str | bytes) -> dict[str, Any]:
    """As `parse_json`, for a text that is an object.

    Raises:
        ValueError: Likewise, or it is another value.
    """
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value


def read_object(path: Path) -> dict[str, Any]:
    """As `parse_object`, of a file.

    Raises:
        OSError: It cannot be read, and never will be.
        RunFolderError: It is out of reach for now.
        ValueError: As `parse_object`, or it is empty.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        require_damage(error, path)
        raise
    if not text.strip():
        raise ValueError("it is empty")
    return parse_object(text)


def _require_text(value: Any) -> None:
    """Refuse halves of characters, which no file can hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it has half a character") from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number")
    return number
