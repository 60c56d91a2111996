"""Line ends: alike they stay, mixed they become line feeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.sources import lines
from ray_downloader.sources.lines import with_one_line_end


@pytest.mark.parametrize("content", [b"", b"a", b"a\nb", b"a\nb\n", b"a\r\nb\r\n", b"a\r\nb", b"a\rb\r"])
@pytest.mark.parametrize("block_size", [1, 2, 3, 100])
def test_lines_that_end_alike_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, block_size: int
) -> None:
    monkeypatch.setattr(lines, "_BLOCK_SIZE_BYTES", block_size)
    (tmp_path / "in").write_bytes(content)
    assert with_one_line_end(tmp_path / "in", tmp_path / "copy") == tmp_path / "in"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a\r\nb\nc", b"a\nb\nc\n"),
        (b"a\nb\r\n", b"a\nb\n"),
        (b"a\tx\ry\nb\tz\n", b"a\tx y\nb\tz\n"),
        (b"\xe9\r\n\n", b"\xe9\n\n"),
    ],
)
@pytest.mark.parametrize("block_size", [1, 2, 3, 100])
def test_mixed_ends_become_line_feeds_and_bytes_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, expected: bytes, block_size: int
) -> None:
    monkeypatch.setattr(lines, "_BLOCK_SIZE_BYTES", block_size)
    (tmp_path / "in").write_bytes(content)
    assert with_one_line_end(tmp_path / "in", tmp_path / "copy").read_bytes() == expected
