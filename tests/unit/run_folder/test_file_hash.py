"""The checksum of a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ray_downloader.run_folder.file_hash import sha256_of


@pytest.mark.parametrize("size_bytes", [0, 1, 1 << 20, (2 << 20) + 1], ids=["empty", "a byte", "a piece", "pieces"])
def test_the_checksum_is_that_of_the_whole_content(tmp_path: Path, size_bytes: int) -> None:
    content = bytes(range(251)) * (size_bytes // 251 + 1)
    path = tmp_path / "file"
    path.write_bytes(content[:size_bytes])
    assert sha256_of(path) == hashlib.sha256(content[:size_bytes]).hexdigest()
