"""Licences in the many ways in which lists write them, as one short name each. Pure.

`http://creativecommons.org/licenses/by-nc/4.0/legalcode`, `CC BY-NC 4.0`, `cc_by_nc` and "Attribution-NonCommercial"
are all `cc-by-nc`. Names are those of SPDX in lower case if there is one; versions and ports are not distinguished.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import unquote

from ray_downloader.errors import UserError

CREATIVE_COMMONS = ("cc-by", "cc-by-sa", "cc-by-nc", "cc-by-nc-sa", "cc-by-nd", "cc-by-nc-nd")
#: What `dataset.licenses` may name, besides a text that appears in the list exactly so.
KNOWN = ("cc0", "pdm", *CREATIVE_COMMONS, "gfdl", "us-gov", "no-known-copyright", "all-rights-reserved")

_URL = re.compile(r"creativecommons\.org/(?:licen[sc]es|publicdomain)/([a-z0-9+-]+)")
_CC = re.compile(r"\b(?:cc|creative ?commons?)\b")
#: A bare list of elements ("by-nc-sa 4.0"), as Flickr, Wikimedia and many tables have it.
_BARE = re.compile(r"(?:cc )?(?:by|attribution)(?: (?:nc|sa|nd|non ?commercial|share ?alike|no ?deriv[a-z]*|only))*")
_NOISE = re.compile(
    r"\b(?:version|v|[0-9]+(?:\.[0-9]+)?|licen[sc]ed?|legalcode|deed|international|generic|unported|universal|intl|igo|the|under"
    r"|a|an|de|us|uk|ca|au|nl|[a-z]{2}_[a-z]{2})\b"
)
#: Creative Commons' own names in English, German, French, Spanish, Portuguese, Italian and Dutch: a licence that calls
#: itself "Attribution - Pas d'Utilisation Commerciale" must not pass for one without its condition.
_BY = re.compile(r"\bby\b|attribution|atribuci[oó]n|atribui[cç][aã]o|attribuzione|namensnennung|naamsvermelding")
_ELEMENTS = {
    "nc": r"\bnc\b|non ?commercial|nicht ?kommerziell|keine kommerzielle|pas d.?utilisation commerciale"
    r"|n[oã]o? ?comercial|niet ?commercieel",
    "sa": r"\bsa\b|share ?alike|weitergabe|partage dans|compartir ?igual|compartilha ?igual|condividi allo"
    r"|gelijk ?delen",
    "nd": r"\bnd\b|no ?deriv|keine ?bearbeitung|pas de modification|sin ?(?:obra ?)?derivad|sem ?deriv|opere derivate"
    r"|geen ?afgeleide",
}
_RESERVED = re.compile(r"\ball rights? reserved\b")
_PHRASES = (
    ("cc0", re.compile(r"\bcc ?(?:0|zero)\b|\bcc 0\b|public domain dedication|\bzero 1")),
    ("pdm", re.compile(r"(?<!not )(?<!not in the )(?<!no )public ?domain|\bpdm?\b|pd mark|publicdomain")),
    ("no-known-copyright", re.compile(r"no known (?:copyright|restriction)|rightsstatements\.org/vocab/(?:nkc|noc)")),
    ("all-rights-reserved", re.compile(r"all rights? reserved|^(?:©|\(c\)|copyright)|rightsstatements\.org/vocab/inc")),
    ("us-gov", re.compile(r"united states government work|u\.?s\.? government work|usgov")),
    ("gfdl", re.compile(r"\bgfdl\b|gnu free documentation")),
)


def license_name(text: str) -> str | None:
    """One of `KNOWN`, or None if the text is none of them."""
    lowered = unquote(text).strip().lower()
    found = _URL.search(lowered)
    if found:
        return _of_url(found.group(1))
    plain = re.sub(r"[\s_\-/,;:+()\[\]]+", " ", lowered).strip()
    if _PHRASES[0][1].search(plain):
        return "cc0"
    if (_CC.search(plain) and _BY.search(plain)) or _is_bare(plain):
        return None if _RESERVED.search(plain) else _of_elements(plain)  # they exclude each other
    return next((name for name, phrase in _PHRASES if phrase.search(plain) or phrase.search(lowered)), None)


def license_gate(wanted: Iterable[str], report: Callable[[str], None]) -> Callable[[str | None], bool]:
    """A predicate: whether rows with a given licence are wanted.

    Args:
        wanted: Names of `KNOWN` in any spelling, or texts as the list has them.
        report: Called with a sentence about each of the latter, as they may be mistyped.

    Raises:
        UserError: A name is empty.
    """
    names, texts = set[str](), set[str]()
    for one in wanted:
        if not one.strip():
            raise UserError("dataset.licenses has an empty name; name licences, such as [cc0, cc-by]")
        name = license_name(one)
        if name:
            names.add(name)
        else:
            texts.add(one.strip().casefold())
            report(
                f"dataset.licenses: {one!r} is not one of {', '.join(KNOWN)}; rows with exactly this licence are kept"
            )

    def is_wanted(text: str | None) -> bool:
        return text is not None and (license_name(text) in names or text.strip().casefold() in texts)

    return is_wanted


def _of_url(part: str) -> str | None:
    if part in {"zero", "cc0"}:
        return "cc0"
    if part in {"mark", "publicdomain", "certification"}:
        return "pdm"
    return _of_elements(part.replace("-", " "))


def _is_bare(plain: str) -> bool:
    return bool(_BARE.fullmatch(re.sub(r"\s+", " ", _NOISE.sub(" ", plain)).strip()))


def _of_elements(plain: str) -> str:
    return "-".join(["cc-by", *(name for name, pattern in _ELEMENTS.items() if re.search(pattern, plain))]).replace(
        "-nc-sa-nd", "-nc-nd"
    )
