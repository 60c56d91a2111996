"""Signed requests, to the letter: RFC 9421's signature base for a known key, time and nonce."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ray_downloader.config.settings import NetworkSettings, PolitenessSettings
from ray_downloader.errors import UserError
from ray_downloader.fetch.base import Fetcher
from ray_downloader.fetch.fake import FakeClock, FakeFetcher, Reply
from ray_downloader.fetch.receiver import BodyRoom
from ray_downloader.fetch.signature import RequestSigner, SigningFetcher, signing
from tests.support.fetching import get

AGENT = "https://example.org"
#: That of RFC 8037, appendix A.1; its thumbprint is in appendix A.3.
KEY = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="))
KEY_ID = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
PARAMETERS = (
    '("@authority" "signature-agent";key="sig1");created=1700000000;expires=1700000300'
    f';keyid="{KEY_ID}";alg="ed25519";nonce="once";tag="web-bot-auth"'
)


def key_file(folder: Path, key: Ed25519PrivateKey | X25519PrivateKey) -> Path:
    path = folder / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def test_the_thumbprint_is_that_of_the_rfc() -> None:
    assert RequestSigner(KEY, AGENT).key_id == KEY_ID


def test_the_signature_is_over_the_host_the_agent_and_the_parameters() -> None:
    headers = RequestSigner(KEY, AGENT).headers("Img.Example.org:81", 1_700_000_000.9, "once")
    assert headers["Signature-Agent"] == 'sig1="https://example.org"'
    assert headers["Signature-Input"] == f"sig1={PARAMETERS}"
    signature = base64.b64decode(headers["Signature"].removeprefix("sig1=:").removesuffix(":"))
    base = (
        '"@authority": img.example.org:81\n"signature-agent";key="sig1": "https://example.org"\n'
        f'"@signature-params": {PARAMETERS}'
    )
    KEY.public_key().verify(signature, base.encode())


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://a.example/x/y.jpg", "a.example"),
        ("https://a.example:444/x", "a.example:444"),
        ("http://me:secret@a.example/x", "a.example"),
    ],
)
def test_each_request_is_signed_when_it_starts_with_a_nonce_of_its_own(url: str, authority: str) -> None:
    signer, now_s, nonces = RequestSigner(KEY, AGENT), [5.0], iter(["first", "second"])
    inner = FakeFetcher(lambda _: Reply(), FakeClock())
    fetcher = SigningFetcher(inner, signer, lambda: now_s[0], lambda: next(nonces))
    fetcher.start(get(1, url, {"X-Own": "1"}))
    now_s[0] = 9.0
    fetcher.start(get(2, url))
    first, second = (dict(request.headers) for _, request in inner.started)
    assert first == {"X-Own": "1", **signer.headers(authority, 5.0, "first")}
    assert second == signer.headers(authority, 9.0, "second")
    assert [token for token, _ in fetcher.take_sent()] == [1, 2]
    assert [result.token for result in fetcher.poll(0.0)] == [1, 2]
    fetcher.close()
    assert inner.is_closed


def test_only_a_run_with_a_key_signs(tmp_path: Path) -> None:
    made: list[tuple[object, ...]] = []
    inner = FakeFetcher(lambda _: Reply(), FakeClock())

    def make(
        network: NetworkSettings, user_agent: str, max_host_connections: int, room: BodyRoom | None = None
    ) -> Fetcher:
        made.append((network, user_agent, max_host_connections, room))
        return inner

    assert signing(make, PolitenessSettings()) is make
    assert RequestSigner.of(PolitenessSettings()) is None
    network, room = NetworkSettings(), BodyRoom()
    politeness = PolitenessSettings(signature_key=key_file(tmp_path, KEY), signature_agent=AGENT)
    fetcher = signing(make, politeness)(network, "agent", 4, room)
    assert isinstance(fetcher, SigningFetcher)
    assert (fetcher.inner, fetcher.signer.key_id) == (inner, KEY_ID)
    assert made == [(network, "agent", 4, room)]


def test_the_site_that_explains_the_run_is_the_agent_unless_another_is_named(tmp_path: Path) -> None:
    key = key_file(tmp_path, KEY)
    for politeness, agent in (
        (PolitenessSettings(signature_key=key, info_url="https://info.example/"), "https://info.example/"),
        (PolitenessSettings(signature_key=key, signature_agent=AGENT, info_url="https://info.example/"), AGENT),
        (
            PolitenessSettings(signature_key=key, signature_agent="HTTPS://bücher.example\n"),
            "https://xn--bcher-kva.example",
        ),
        (PolitenessSettings(signature_key=key, signature_agent="https://me:s3cret@a.example/x"), "https://a.example/x"),
    ):
        signer = RequestSigner.of(politeness)
        assert signer is not None
        assert signer.headers("a", 0.0, "n")["Signature-Agent"] == f'sig1="{agent}"'


def test_what_is_wrong_with_a_key_is_said_in_one_sentence(tmp_path: Path) -> None:
    key = key_file(tmp_path, KEY)
    for politeness in (
        PolitenessSettings(signature_key=key),
        PolitenessSettings(signature_key=key, info_url="http://plain.example/"),
        PolitenessSettings(signature_key=key, signature_agent="https://"),
        PolitenessSettings(signature_key=key, signature_agent="example.org"),
        PolitenessSettings(signature_key=key, signature_agent="https://a b"),
    ):
        with pytest.raises(UserError, match=r"signature_agent is required"):
            RequestSigner.of(politeness)
    with pytest.raises(UserError, match=r"cannot be read: No such file"):
        RequestSigner.of(PolitenessSettings(signature_key=tmp_path / "x", signature_agent=AGENT))
    for content in (b"no key", key_file(tmp_path, X25519PrivateKey.generate()).read_bytes()):
        (tmp_path / "other.pem").write_bytes(content)
        with pytest.raises(UserError, match=r"is not an Ed25519 private key in PEM"):
            RequestSigner.of(PolitenessSettings(signature_key=tmp_path / "other.pem", signature_agent=AGENT))
