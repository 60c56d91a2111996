"""The examples of `docs/lists.md` are read as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.lists import partitioned
from tests.support.running import CHECKOUT

pytestmark = pytest.mark.stage

_EXAMPLE = re.compile(r'```\w+ title="([^"]+)"\n(.*?)```\n```result\n(.*?)```', re.DOTALL)
_TEXT = (CHECKOUT / "docs" / "lists.md").read_text("utf-8")
EXAMPLES = [(found[1], found[2], found[3]) for found in _EXAMPLE.finditer(_TEXT)]


def test_every_example_is_found() -> None:
    assert len(EXAMPLES) == _TEXT.count("```result")


@pytest.mark.parametrize(("name", "content", "expected"), EXAMPLES, ids=[name for name, _, _ in EXAMPLES])
def test_an_example_is_read_as_it_is_written(tmp_path: Path, name: str, content: str, expected: str) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    result = partitioned(tmp_path / name, tmp_path / "out")
    lines = [sentence.removeprefix(f"{name} ") for sentence in result.summary.read_as]
    lines += sorted(f"accepted: {row['source_id'] or '-'} {row['identifier']}" for row in result.rows())
    lines += sorted(f"rejected: line {row['line']} {row['reason']}" for row in result.rejected())
    assert lines == expected.splitlines()
