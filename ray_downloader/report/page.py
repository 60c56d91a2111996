"""The page: one HTML file that holds its style, its script and its data, and may load nothing else.

The data is JSON in a script element that is never run; the page's script makes text nodes of it, never markup. A
content security policy with the hashes of style and script refuses anything else that might get in.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from string import Template
from typing import Any

#: Characters that could end the element that holds the data, or its string.
_ESCAPES: dict[str, str | int | None] = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def page(document: Mapping[str, Any]) -> str:
    """The file's text."""
    style, script = _part("page.css"), _part("page.js")
    return Template(_part("page.html")).substitute(
        policy=_policy(style, script),
        style=style,
        script=script,
        data=_data(document),
    )


def _part(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")


def _data(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.translate(str.maketrans(_ESCAPES)).encode("utf-8", "replace").decode("utf-8")


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"
