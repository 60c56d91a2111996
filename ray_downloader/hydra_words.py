"""What Hydra says of a mistake, without its advice on stack traces, search paths and grammar."""

from __future__ import annotations

import re

from ray_downloader.setting_mistakes import unknown_key
from ray_downloader.settings import Settings


def first_sentences(error: Exception) -> str:
    """Hydra's message without its advice on stack traces, search paths and grammar."""
    text = str(error).partition("Config search path")[0].partition("See https://")[0]
    unknown = re.match(r"Could not override '([^']+)'", text)
    if unknown:
        return unknown_key(unknown[1], Settings)
    lines = [line.strip() for line in text.splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(("full_key", "object_type"))).rstrip(":")
