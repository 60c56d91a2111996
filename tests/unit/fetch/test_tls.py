"""Which authorities are trusted does not depend on the node."""

from __future__ import annotations

from pathlib import Path

import certifi
import pytest

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import UserError
from ray_downloader.fetch.tls import ca_file, certificate_verdict


def test_the_configured_file_or_the_one_that_comes_with_us(tmp_path: Path) -> None:
    bundle = tmp_path / "authorities.pem"
    bundle.write_text("")
    assert ca_file(NetworkSettings()) == certifi.where()
    assert ca_file(NetworkSettings(ca_bundle=bundle)) == str(bundle)


@pytest.mark.parametrize("name", ["none.pem", "."])
def test_what_is_not_a_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"network\.ca_bundle=.* does not exist"):
        ca_file(NetworkSettings(ca_bundle=tmp_path / name))


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (0, "wrong host"),
        (2, "broken chain"),
        (10, "expired certificate"),
        (18, "self-signed certificate"),
        (19, "self-signed certificate in chain"),
        (20, "broken chain"),
        (21, "broken chain"),
        (62, "wrong host"),
        (64, "wrong host"),
        (23, "certificate not accepted (OpenSSL code 23)"),
    ],
)
def test_a_certificate_is_judged_in_words(code: int, verdict: str) -> None:
    assert certificate_verdict(code) == verdict
