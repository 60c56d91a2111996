"""Web Bot Auth: requests signed with an Ed25519 key, so that a server can be sure who asks.

draft-ietf-webbotauth-httpsig-protocol, a profile of HTTP Message Signatures (RFC 9421). The public key is in the
directory of the site that `Signature-Agent` names; `keyid` is its JWK thumbprint (RFC 7638, RFC 8037).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ray_downloader.config.settings import NetworkSettings, PolitenessSettings
from ray_downloader.errors import UserError
from ray_downloader.fetch.base import Fetcher, FetcherFactory, FetchRequest, FetchResult
from ray_downloader.fetch.receiver import BodyRoom
from ray_downloader.machine import with_home
from ray_downloader.partition.server_key import BadUrlError, RequestUrl, without_user_info

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: A signature is good for this long; the draft recommends no more than a day, and clocks differ.
_VALID_S = 300
_LABEL = "sig1"
_SITE = (
    "the https:// address of the site whose /.well-known/http-message-signatures-directory has the public key, such "
    "as https://example.org"
)


class RequestSigner:
    """Signs requests with one key.

    Args:
        key: The private key.
        agent: The site whose directory has the public key (`politeness.signature_agent`).
    """

    def __init__(self, key: Ed25519PrivateKey, agent: str) -> None:
        self._key = key
        self._agent = json.dumps(agent)
        x = _base64url(key.public_key().public_bytes_raw())
        thumbprint = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
        self.key_id = _base64url(hashlib.sha256(thumbprint.encode()).digest())

    @classmethod
    def of(cls, politeness: PolitenessSettings) -> RequestSigner | None:
        """The signer of a run; None if it does not sign.

        Raises:
            UserError: The key cannot be read, is of another kind, or nobody is named as its owner.
        """
        if politeness.signature_key is None:
            return None
        agent = _address(politeness.signature_agent or politeness.info_url or "")
        if agent is None:
            given = politeness.signature_agent
            problem = f"{without_user_info(given)!r} is not one" if given else "politeness.signature_key is set"
            raise UserError(f"politeness.signature_agent is required to be {_SITE}: {problem}")
        return cls(_load(politeness.signature_key), agent)

    def headers(self, authority: str, now_unix_s: float, nonce: str) -> dict[str, str]:
        """The headers of one request.

        Args:
            authority: Host and, if it is not the default, port.
            now_unix_s: When it is sent.
            nonce: A text that no other request has.
        """
        created = int(now_unix_s)
        parameters = (
            f'("@authority" "signature-agent";key="{_LABEL}");created={created};expires={created + _VALID_S}'
            f';keyid="{self.key_id}";alg="ed25519";nonce="{nonce}";tag="web-bot-auth"'
        )
        base = (
            f'"@authority": {authority.lower()}\n"signature-agent";key="{_LABEL}": {self._agent}\n'
            f'"@signature-params": {parameters}'
        )
        signature = base64.b64encode(self._key.sign(base.encode("ascii"))).decode("ascii")
        return {
            "Signature-Agent": f"{_LABEL}={self._agent}",
            "Signature-Input": f"{_LABEL}={parameters}",
            "Signature": f"{_LABEL}=:{signature}:",
        }


@dataclass(frozen=True, slots=True)
class SigningFetcher:
    """A fetcher whose requests are signed when they start."""

    inner: Fetcher
    signer: RequestSigner
    wall_clock: Callable[[], float] = time.time
    nonce: Callable[[], str] = secrets.token_urlsafe

    def start(self, request: FetchRequest) -> None:
        """Sign a GET and begin it."""
        authority = request.url.split("/", 3)[2].rpartition("@")[2]
        signed = self.signer.headers(authority, self.wall_clock(), self.nonce())
        self.inner.start(replace(request, headers={**request.headers, **signed}))

    def poll(self, timeout_s: float) -> list[FetchResult]:
        """As the fetcher's."""
        return self.inner.poll(timeout_s)

    def take_sent(self) -> list[tuple[int, float]]:
        """As the fetcher's."""
        return self.inner.take_sent()

    def close(self) -> None:
        """As the fetcher's."""
        self.inner.close()


def signing(make: FetcherFactory, politeness: PolitenessSettings) -> FetcherFactory:
    """The factory itself, or one whose fetchers sign their requests.

    Raises:
        UserError: As `RequestSigner.of`.
    """
    signer = RequestSigner.of(politeness)
    if signer is None:
        return make

    def make_signing(
        network: NetworkSettings, user_agent: str, max_host_connections: int, room: BodyRoom | None = None
    ) -> Fetcher:
        return SigningFetcher(make(network, user_agent, max_host_connections, room), signer)

    return make_signing


def _address(agent: str) -> str | None:
    """The address of a site as a header has it, in ASCII and without a password; None if it is not an https address."""
    try:
        url = RequestUrl.parse(agent)
    except BadUrlError:
        return None
    text = without_user_info(url.text)
    return (text if agent.rstrip().endswith("/") else text.rstrip("/")) if url.scheme == "https" else None


def _load(path: Path) -> Ed25519PrivateKey:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 (optional)
        from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415
    except ImportError:
        raise UserError("politeness.signature_key needs a package: pip install 'ray-downloader[signing]'") from None
    try:
        key = load_pem_private_key(with_home(path).read_bytes(), password=None)
    except OSError as error:
        raise UserError(f"politeness.signature_key={path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UserError(
            f"politeness.signature_key={path} is not an Ed25519 private key in PEM without a password; make one with "
            "openssl genpkey -algorithm ed25519"
        )
    return key


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
