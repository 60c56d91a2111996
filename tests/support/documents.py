"""Blocks of code in the documents, and what they are marked as."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>[^>]*) -->\n+)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_GENERAL = ("README.md", "CONTRIBUTING.md")


@dataclass(frozen=True, slots=True)
class Block:
    """One block.

    Args:
        page: Its file.
        mark: The comment before it ("run: duckdb", "not run: why", "config"), or "".
        language: After the fence.
        text: Its content.
    """

    page: Path
    mark: str
    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        """Commands, without comments, continued lines joined."""
        joined = self.text.replace("\\\n", " ")
        return [line for raw in joined.splitlines() if (line := re.sub(r"(^|\s)#.*", "", raw).strip())]


def pages() -> list[Path]:
    """All documents that users read."""
    return [*(ROOT / name for name in _GENERAL), *sorted((ROOT / "docs").glob("*.md"))]


def blocks() -> Iterator[Block]:
    """All blocks of all documents."""
    for page in pages():
        for found in _BLOCK.finditer(page.read_text("utf-8")):
            yield Block(page, found["mark"] or "", found["language"], found["text"])
