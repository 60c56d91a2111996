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


def user_agent(contact: str | None) -> str:
    """The User-Agent of every request.

    Args:
        contact: E-mail address or page of the run's operator (`politeness.contact`); None leaves it out.

    Raises:
        UserError: The contact is not allowed in a header.
    """
    if contact is None:
        return f"{PRODUCT_TOKEN}/{__version__} ({_PURPOSE})"
    if not (contact.isascii() and contact.isprintable()) or set(contact) & set("()"):
        raise UserError(
            f"politeness.contact={contact!r} cannot be part of a User-Agent header; "
            "write an e-mail address or the address of a web page, in ASCII and without brackets"
        )
    return f"{PRODUCT_TOKEN}/{__version__} (+{contact}; {_PURPOSE})"
