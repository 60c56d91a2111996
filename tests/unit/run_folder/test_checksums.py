"""Bytes that came against what the list says of them."""

from __future__ import annotations

import hashlib

import pytest

from ray_downloader.run_folder.checksums import NOTHING_LISTED, Listed, agreements

BODY = b"body"


@pytest.mark.parametrize(
    ("listed", "agrees"),
    [
        (NOTHING_LISTED, None),
        (Listed(f"md5:{hashlib.md5(BODY).hexdigest()}"), True),
        (Listed(f"sha1:{hashlib.sha1(BODY).hexdigest()}", 4), True),
        (Listed(f"sha256:{hashlib.sha256(BODY).hexdigest()}", 5), False),
        (Listed(f"sha256:{hashlib.sha256(b'other').hexdigest()}", 4), False),
        (Listed("md5:abc=="), False),
        (Listed(None, 4), True),
        (Listed(None, 0), False),
    ],
)
def test_checksum_and_size_must_both_agree(listed: Listed, agrees: bool | None) -> None:
    assert agreements([listed, NOTHING_LISTED], BODY) == [agrees, None]
