"""Signed requests as a server receives them: a verifier that knows RFC 9421 and the public key finds them sound."""

from __future__ import annotations

import base64
import re
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ray_downloader.config.settings import NetworkSettings, PolitenessSettings
from ray_downloader.fetch.base import FETCHERS, FetchRequest
from ray_downloader.fetch.signature import signing
from ray_downloader.partition.server_key import RequestUrl
from tests.support.fetching import fetch_all
from tests.support.running import RunningOrigin

AGENT = "https://example.org"


def _key_file(tmp_path: Path, key: Ed25519PrivateKey) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def _verify(headers: dict[str, str], key: Ed25519PublicKey) -> str:
    """What a verifier does: the signature base from the received headers, in the order that they state.

    Returns:
        The signature's parameters.
    """
    label, parameters = headers["signature-input"].split("=", 1)
    lines = []
    for name, member in re.findall(r'"([^"]+)"(?:;key="([^"]+)")?', parameters.partition(")")[0]):
        if name == "@authority":
            value = headers["host"].lower()
        else:
            value = dict(part.split("=", 1) for part in headers[name].split(", "))[member]
        lines.append(f'"{name}"' + (f';key="{member}"' if member else "") + f": {value}")
    base = "\n".join([*lines, f'"@signature-params": {parameters}'])
    signature = headers["signature"].removeprefix(f"{label}=:").removesuffix(":")
    key.verify(base64.b64decode(signature), base.encode())
    return parameters


@pytest.mark.parametrize("fetcher", ["curl", "requests"])
def test_a_server_can_verify_who_asks(origin: RunningOrigin, tmp_path: Path, fetcher: str) -> None:
    key = Ed25519PrivateKey.generate()
    politeness = PolitenessSettings(signature_key=_key_file(tmp_path, key), signature_agent=AGENT)
    network = NetworkSettings(connect_to=origin.connect_to)
    with closing(signing(FETCHERS.get(fetcher), politeness)(network, "test", 4)) as made:
        for number in range(2):
            fetch_all(made, [FetchRequest(number, RequestUrl.parse("http://img.example.org/1.jpg"), {"X-Own": "1"})])
    seen = [dict(entry.headers) for entry in origin.seen()[-2:]]
    assert len(seen) == 2
    assert all(headers["x-own"] == "1" for headers in seen)
    parameters = [_verify(headers, key.public_key()) for headers in seen]
    assert len({re.findall(r'nonce="([^"]+)"', text)[0] for text in parameters}) == 2
    assert all('tag="web-bot-auth"' in text for text in parameters)
    with pytest.raises(InvalidSignature):
        _verify({**seen[0], "host": "other.example.org"}, key.public_key())
