"""Which authorities TLS trusts, and what is wrong with a certificate, in plain words. The same for every fetcher.

The authorities are those of the configured file, else those that `certifi` ships. Not the system's: wheels of libcurl
do not know where it keeps them, and a run should behave the same on every node.
"""

from __future__ import annotations

import certifi

from ray_downloader.config.settings import NetworkSettings
from ray_downloader.errors import UserError

#: OpenSSL's X509_V_ERR_* codes.
_VERDICTS = {
    2: "broken chain",
    10: "expired certificate",
    18: "self-signed certificate",
    19: "self-signed certificate in chain",
    20: "broken chain",
    21: "broken chain",
    62: "wrong host",
    64: "wrong host",
}


def ca_file(network: NetworkSettings) -> str:
    """Path of the CA file.

    Raises:
        UserError: `network.ca_bundle` names a file that does not exist.
    """
    if network.ca_bundle is None:
        return certifi.where()
    if not network.ca_bundle.is_file():
        raise UserError(f"network.ca_bundle={network.ca_bundle} does not exist; it must be a file of PEM certificates")
    return str(network.ca_bundle)


def certificate_verdict(code: int) -> str:
    """OpenSSL's verification code in words; 0 is reported for certificates of another host, which libcurl checks."""
    return "wrong host" if code == 0 else _VERDICTS.get(code, f"certificate not accepted (OpenSSL code {code})")
