"""Texts of lists and servers as the report shows them: without secrets, on one line, not too long. Pure."""

from __future__ import annotations

import re
import shlex

#: Secrets in URLs: user-info, and the values of what signs a request.
_USER_INFO = re.compile(r"(?<=://)[^/?#\s]*@")
_SIGNED = re.compile(r"([?&][^=&#]*(?:key|token|sig|signature|secret|password|credential|auth)[^=&#]*=)[^&#]*", re.I)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")
#: Keys of the command line whose values may be secret.
_SECRET_KEYS = ("downloader_parameters.header", "network.proxy")
MOST_URL_CHARACTERS = 200


def one_line(text: str, most: int = 240) -> str:
    """The text without control characters and marks that turn the direction of writing, cut to a length."""
    plain = _CONTROL.sub(" ", text).strip()
    return plain if len(plain) <= most else plain[: most - 1].rstrip() + "…"


def shown_url(url: str) -> str:
    """A URL without user-info and without the values that sign it."""
    plain = _SIGNED.sub(r"\1…", _USER_INFO.sub("", one_line(url, 2_000)))
    return plain if len(plain) <= MOST_URL_CHARACTERS else ""


def shown_command(command: str) -> str:
    """A command line without the values of keys that may be secret."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    if not any(word.lstrip("+").startswith(_SECRET_KEYS) for word in words):
        return command
    return shlex.join(
        f"{word.partition('=')[0]}=…" if word.lstrip("+").startswith(_SECRET_KEYS) else word for word in words
    )
