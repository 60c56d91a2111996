"""The tables of a run: their Arrow schemas, and the row types that cross a seam.

Schemas are the public contract of the files in a run folder. The leading columns of `SUCCESS_SCHEMA` and
`ERROR_SCHEMA` are those that downstream code of legacy projects reads by name; ours come after them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa

#: One accepted input row, as the partition stage writes it below `urls/`. `mirrors` are further URLs of the same
#: bytes, in the order in which they are tried if `identifier` fails; `creator` is the person to credit. `checksum`
#: ("sha256:<hex>") and `size_bytes` are what the list states about the bytes. Columns of `dataset.keep` come last.
URL_SCHEMA = pa.schema(
    [
        pa.field("uuid", pa.string(), nullable=False),
        pa.field("source_id", pa.string()),
        pa.field("identifier", pa.string(), nullable=False),
        pa.field("server_name", pa.string(), nullable=False),
        pa.field("is_license_full", pa.bool_(), nullable=False),
        pa.field("license", pa.string()),
        pa.field("source", pa.string()),
        pa.field("title", pa.string()),
        pa.field("creator", pa.string()),
        pa.field("mirrors", pa.list_(pa.string())),
        pa.field("license_from", pa.string()),
        pa.field("checksum", pa.string()),
        pa.field("size_bytes", pa.int64()),
    ]
)
#: Prefix of the columns of `dataset.keep` below `urls/`, so that no name clashes with one of `URL_SCHEMA`.
_KEPT = "keep."


def url_schema(kept: Sequence[str] = ()) -> pa.Schema:
    """`URL_SCHEMA`, followed by the columns of `dataset.keep`."""
    return pa.schema([*URL_SCHEMA, *(pa.field(kept_column(name), pa.string()) for name in kept)])


def kept_column(name: str) -> str:
    """The name of a column of `dataset.keep` below `urls/`."""
    return _KEPT + name


def kept_names(urls: pa.Schema) -> list[str]:
    """The columns of `dataset.keep` that a table below `urls/` has."""
    return [name.removeprefix(_KEPT) for name in urls.names if name.startswith(_KEPT)]


#: One batch: where its rows are (`file`, `row_group` below `urls/`) and where its results go
#: (`images/server_name=<server_name>/partition_id=<partition_id>`). `servers` counts the servers in it.
BATCH_SCHEMA = pa.schema(
    [
        pa.field("batch_id", pa.int64(), nullable=False),
        pa.field("server_name", pa.string(), nullable=False),
        pa.field("partition_id", pa.int32(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("row_group", pa.int32(), nullable=False),
        pa.field("rows", pa.int32(), nullable=False),
        pa.field("servers", pa.int32(), nullable=False),
    ]
)

#: One input row that cannot be downloaded, with its reason. `line` is its place in its file (1-based), if that is known
#: (docs/decisions/0008-details-of-a-rejected-row.md). `detail` is a sentence, where there is more to say.
REJECTED_SCHEMA = pa.schema(
    [
        pa.field("identifier", pa.string()),
        pa.field("source_id", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("file", pa.string()),
        pa.field("line", pa.int64()),
        pa.field("detail", pa.string()),
    ]
)

#: `rendition` names the version of the picture that was requested, at `requested_url`, instead of the listed one.
#: `usage` is what the server or its robots.txt states about uses of the file.
SUCCESS_SCHEMA = pa.schema(
    [
        pa.field("uuid", pa.string()),
        pa.field("source_id", pa.string()),
        pa.field("identifier", pa.string()),
        pa.field("is_license_full", pa.bool_()),
        pa.field("license", pa.string()),
        pa.field("source", pa.string()),
        pa.field("title", pa.string()),
        pa.field("hashsum_original", pa.string()),
        pa.field("hashsum_resized", pa.string()),
        pa.field("original_size", pa.list_(pa.uint32())),
        pa.field("resized_size", pa.list_(pa.uint32())),
        pa.field("image", pa.binary()),
        pa.field("image_format", pa.string()),
        pa.field("original_format", pa.string()),
        pa.field("retry_count", pa.int32()),
        pa.field("final_url", pa.string()),
        pa.field("etag", pa.string()),
        pa.field("last_modified", pa.string()),
        pa.field("fetched_at", pa.timestamp("ms", tz="UTC")),
        pa.field("rendition", pa.string()),
        pa.field("requested_url", pa.string()),
        pa.field("usage", pa.string()),
        pa.field("license_from", pa.string()),
        pa.field("checksum_ok", pa.bool_()),
    ]
)

ERROR_SCHEMA = pa.schema(
    [
        pa.field("uuid", pa.string()),
        pa.field("identifier", pa.string()),
        pa.field("retry_count", pa.int32()),
        pa.field("error_code", pa.int32()),
        pa.field("error_msg", pa.string()),
        pa.field("source_id", pa.string()),
        pa.field("error_kind", pa.string()),
        pa.field("http_status", pa.int32()),
        pa.field("retry_after_s", pa.float64()),
        pa.field("fetched_at", pa.timestamp("ms", tz="UTC")),
    ]
)


#: Follows the other columns in files of `server_name=pooled`, whose folder does not name the server. Its type is that
#: which pyarrow and pandas give to what they read from folder names; another would be a conflict.
SERVER_NAME = pa.field("server_name", pa.dictionary(pa.int32(), pa.string()))


def success_schema(kept: Sequence[str] = (), extra_columns: Sequence[str] = ()) -> pa.Schema:
    """`SUCCESS_SCHEMA`, followed by the columns of `dataset.keep` and then those of `image.extra_columns`."""
    return pa.schema([*SUCCESS_SCHEMA, *(pa.field(name, pa.string()) for name in (*kept, *extra_columns))])


#: Folder name of the batches that small servers share.
POOLED = "pooled"
#: `image_format` of pixels without an encoding: height x width x 3 bytes, blue green red.
RAW = "raw"


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """What a download adds to its input row; field names are columns of `SUCCESS_SCHEMA`. Sizes are (height, width)."""

    hashsum_original: str
    hashsum_resized: str
    original_size: tuple[int, int]
    resized_size: tuple[int, int]
    image: bytes
    image_format: str
    original_format: str
    retry_count: int
    final_url: str
    etag: str | None
    last_modified: str | None
    fetched_at: datetime
    rendition: str | None = None
    requested_url: str | None = None
    usage: str | None = None
    extra: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """Why a row has no image; field names are columns of `ERROR_SCHEMA`."""

    retry_count: int
    error_code: int
    error_msg: str
    error_kind: str
    http_status: int | None
    retry_after_s: float | None
    fetched_at: datetime
