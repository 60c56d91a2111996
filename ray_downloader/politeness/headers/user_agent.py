"""How we identify ourselves: one honest User-Agent for images, robots.txt and profile probes, never a browser's.

The form is the one that large hosts require, `<client>/<version> (<contact>) <library>/<version>`: with a contact, an
operator can write instead of blocking (Wikimedia's User-Agent policy gives such clients higher limits).
"""

from __future__ import annotations

from ray_downloader import __version__
from ray_downloader.errors import UserError

#: The name that robots.txt groups are matched against (RFC 9309, section 2.2.1).
PRODUCT_TOKEN = "ray_downloader"
_PURPOSE = "image dataset research"


def user_agent(contact: str | None, info_url: str | None = None) -> str:
    """The User-Agent of every request.

    Args:
        contact: E-mail address or page of the run's operator (`politeness.contact`); None leaves it out.
        info_url: A page that says what the run is for and how to slow or stop it (`politeness.info_url`).

    Raises:
        UserError: One of them is not allowed in a header.
    """
    _check("contact", contact)
    _check("info_url", info_url)
    facts = [*(f"+{text}" for text in dict.fromkeys((info_url, contact)) if text), _PURPOSE]
    return f"{PRODUCT_TOKEN}/{__version__} ({'; '.join(facts)})"


def _check(key: str, text: str | None) -> None:
    if text is not None and (not (text.isascii() and text.isprintable()) or set(text) & set("();")):
        raise UserError(
            f"politeness.{key}={text!r} cannot be part of a User-Agent header; "
            "write an e-mail address or the address of a web page, in ASCII and without brackets"
        )
