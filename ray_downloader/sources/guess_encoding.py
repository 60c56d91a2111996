"""Guesses the encoding of a text that is not UTF-8 from its bytes beyond ASCII. Pure.

Windows-1252 unless the evidence is strong: East Asian text consists of pairs of bytes that hardly any other text has,
Cyrillic and Greek words have no ASCII letters, and in Mac Roman and in the code pages of DOS the accented letters are
where Windows-1252 has signs. Encodings that differ in a few letters only (Windows-1250) cannot be told apart so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

#: Fewer bytes beyond ASCII prove nothing.
_LEAST_BYTES = 6
_LEAST_SHARE = 0.9
#: Share of the ten most frequent letters of Russian or Greek in any text: about 0.65.
_LEAST_SHARE_OF_FREQUENT = 0.45
#: Mean length of words in those scripts: about 5. In Western languages single letters are words (`à`, `é`).
_LEAST_WORD_LENGTH = 2.5
_MOST_WESTERN = 0.6
_KANA = (0x3041, 0x30FE)
#: Ideographs, kana, Hangul, and the punctuation and letters of East Asian width.
_EAST_ASIAN = ((0x4E00, 0x9FFF), _KANA, (0xAC00, 0xD7A3), (0x3000, 0x303F), (0xFF01, 0xFF5E), (0x2010, 0x203B))
_LEAST_KANA = 0.1
_HANGUL = ((0xAC00, 0xD7A3),)
#: Scripts without ASCII letters: the encoding, and the most frequent letters.
_SCRIPTS = (("cp1251", "оеаинтсрвл"), ("koi8_r", "оеаинтсрвл"), ("cp1253", "αοιετσνρης"))
#: Encodings of Western languages that Windows-1252 is not.
_OTHER_WESTERN = ("mac_roman", "cp850")
_ACCENTED = frozenset("éèêëàáâäãåçíìîïñóòôöõøúùûüýæœšžßÉÈÀÁÂÄÅÇÍÎÑÓÖÔØÚÜÆŠŽ’“”–—«»°©®½ ºª")
_WORD = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")


def guess_encoding(text: bytes) -> str | None:
    """The encoding for which the evidence is strong; None if Windows-1252 is as likely.

    Args:
        text: Whole lines of the text.
    """
    beyond = re.findall(rb"[\x80-\xff]", text)
    if len(beyond) < _LEAST_BYTES:
        return None
    return _east_asian(text) or _script(text) or _western(b" ".join(_WORD.findall(text)))


def _east_asian(text: bytes) -> str | None:
    for encoding in ("cp932", "euc_jp"):
        found = _beyond_ascii(text, encoding)
        if _share(found, _EAST_ASIAN) >= _LEAST_SHARE and _share(found, (_KANA,)) >= _LEAST_KANA:
            return encoding
    if _share(_beyond_ascii(text, "euc_kr"), _HANGUL) >= _LEAST_SHARE:
        return "euc_kr"
    chinese = _beyond_ascii(text, "gb18030")
    # The first level of GB 2312 has the common characters; chance hits are spread over all of GBK.
    common = [char for char in chinese if 0xB0 <= char.encode("gb18030")[0] <= 0xD7 or ord(char) < 0x4E00]
    if _share(chinese, _EAST_ASIAN) >= _LEAST_SHARE and len(common) >= _LEAST_SHARE * len(chinese):
        return "gb18030"
    return None


def _beyond_ascii(text: bytes, encoding: str) -> str:
    """The characters beyond ASCII; none if the text is not in that encoding."""
    try:
        return "".join(char for char in text.decode(encoding) if ord(char) > 0x7F)
    except UnicodeDecodeError:
        return ""


def _share(characters: str, ranges: Iterable[tuple[int, int]]) -> float:
    inside = sum(any(first <= ord(char) <= last for first, last in ranges) for char in characters)
    return inside / len(characters) if characters else 0.0


def _script(text: bytes) -> str | None:
    """An encoding of a script of its own, if words have hardly any ASCII letters."""
    found = _WORD.findall(text)
    words = b"".join(found)
    if len(words) < _LEAST_WORD_LENGTH * len(found):
        return None
    if sum(byte > 0x7F for byte in words) < _LEAST_SHARE * len(words):
        return None
    shares = {encoding: _frequent(words, encoding, letters) for encoding, letters in _SCRIPTS}
    best = max(shares, key=lambda encoding: shares[encoding])
    return best if shares[best] >= _LEAST_SHARE_OF_FREQUENT else None


def _frequent(words: bytes, encoding: str, letters: str) -> float:
    decoded = words.decode(encoding, "replace").lower()
    return sum(char in letters for char in decoded) / len(decoded)


def _western(words: bytes) -> str | None:
    shares = {encoding: _accented(words, encoding) for encoding in ("cp1252", *_OTHER_WESTERN)}
    best = max(_OTHER_WESTERN, key=lambda encoding: shares[encoding])
    return best if shares[best] >= _LEAST_SHARE and shares["cp1252"] < _MOST_WESTERN else None


def _accented(words: bytes, encoding: str) -> float:
    """Share of the bytes beyond ASCII that are letters where letters are: no capital follows a small letter."""
    decoded = words.decode(encoding, "replace")
    found = [(before, char) for before, char in pairwise(f" {decoded}") if ord(char) > 0x7F]
    likely = sum(char in _ACCENTED and not (char.isupper() and before.islower()) for before, char in found)
    return likely / len(found)
