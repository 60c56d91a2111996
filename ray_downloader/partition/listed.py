"""SQL for what a list states about the bytes: checksums in hexadecimal or base64, with or without prefix, and sizes."""

from __future__ import annotations

from collections.abc import Collection

from ray_downloader.sources.base import LISTED_COLUMNS

#: Characters of each checksum in base64, the longest checksum first.
_BASE64_LENGTHS = {"sha256": 44, "sha1": 28, "md5": 24}
#: Texts that mean "no value".
_NOTHING = "('', '-', '?', 'na', 'n/a', 'nan', 'none', 'null')"


def listed_sql(roles: Collection[str]) -> dict[str, str]:
    """SQL for the columns `checksum` and `size_bytes` over those of `LISTED_COLUMNS` that are among the roles.

    If several checksums are listed, the longest is used. A text that is not a checksum is kept as it is: no file
    matches it, and the column `checksum_ok` says so.
    """
    there = [name for name in _BASE64_LENGTHS if name in roles]
    checksums = [_checksum(name, _BASE64_LENGTHS[name]) for name in there]
    has_size = LISTED_COLUMNS[-1] in roles
    return {
        "checksum": f"coalesce({', '.join(checksums)})" if checksums else "NULL::VARCHAR",
        "size_bytes": "TRY_CAST(TRY_CAST(bytes AS DOUBLE) AS BIGINT)" if has_size else "NULL::BIGINT",
    }


def _checksum(name: str, base64_length: int) -> str:
    bare = f"regexp_replace({name}, '(?i)^({name[:3]}-?{name[3:]}[:=-]|0x)', '')"
    is_base64 = f"length({bare}) = {base64_length} AND NOT regexp_full_match({bare}, '[0-9a-fA-F]+')"
    of_base64 = f"CASE WHEN {is_base64} THEN TRY(hex(from_base64({bare}))) END"
    text = f"lower(coalesce({of_base64}, {bare}))"
    return f"CASE WHEN {name} IS NOT NULL AND lower({name}) NOT IN {_NOTHING} THEN '{name}:' || {text} END"
