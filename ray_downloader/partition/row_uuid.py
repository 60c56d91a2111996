"""The deterministic identity of a row: the same source_id and identifier give the same uuid in every run.

It is the version 5 uuid (RFC 9562, 5.5) of both, in a namespace of this project; SQL and Python agree.
"""

from __future__ import annotations

import uuid

#: `uuid5(NAMESPACE_DNS, "ray-downloader")`. Changing it would give every row of every run a new identity.
NAMESPACE = uuid.UUID("b8e4ea9e-8210-5b3d-98b4-a50c4c2338df")

_SEPARATOR = "\x1f"


def row_uuid(source_id: str | None, identifier: str) -> str:
    """The uuid of a row whose list has none."""
    return str(uuid.uuid5(NAMESPACE, f"{source_id or ''}{_SEPARATOR}{identifier}"))


def _bytes_sql(value: bytes) -> str:
    return "'" + "".join(f"\\x{byte:02x}" for byte in value) + "'::BLOB"


#: `row_uuid(source_id, identifier)` as a macro of DuckDB: SHA-1 of namespace and name, then the version digit (5) and
#: the two variant bits (10) are put in their places.
ROW_UUID_MACRO = f"""
CREATE OR REPLACE TEMP MACRO uuid5_of_sha1(digest) AS concat(
    substr(digest, 1, 8), '-', substr(digest, 9, 4), '-5', substr(digest, 14, 3), '-',
    substr('89ab', 1 + (strpos('0123456789abcdef', substr(digest, 17, 1)) - 1) % 4, 1), substr(digest, 18, 3), '-',
    substr(digest, 21, 12));
CREATE OR REPLACE TEMP MACRO row_uuid(source_id, identifier) AS uuid5_of_sha1(
    sha1({_bytes_sql(NAMESPACE.bytes)} || encode(coalesce(source_id, '') || chr(31) || identifier)));
"""
