"""The columns of a run's tables, spelled out: programs of users read them by name and type."""

from __future__ import annotations

from dataclasses import fields

import pyarrow as pa

from ray_downloader.run_folder.schemas import (
    BATCH_SCHEMA,
    ERROR_SCHEMA,
    POOLED,
    RAW,
    REJECTED_SCHEMA,
    SUCCESS_SCHEMA,
    URL_SCHEMA,
    ErrorRecord,
    ImageRecord,
    kept_column,
    kept_names,
    success_schema,
    url_schema,
)

#: What downstream code knew before there was this project, in this order.
SUCCESSES = {
    "uuid": "string",
    "source_id": "string",
    "identifier": "string",
    "is_license_full": "bool",
    "license": "string",
    "source": "string",
    "title": "string",
    "hashsum_original": "string",
    "hashsum_resized": "string",
    "original_size": "list<item: uint32>",
    "resized_size": "list<item: uint32>",
    "image": "binary",
}
ERRORS = {
    "uuid": "string",
    "identifier": "string",
    "retry_count": "int32",
    "error_code": "int32",
    "error_msg": "string",
    "source_id": "string",
    "error_kind": "string",
    "http_status": "int32",
    "retry_after_s": "double",
    "fetched_at": "timestamp[ms, tz=UTC]",
}


def spelled(schema: pa.Schema) -> dict[str, str]:
    return {column.name: str(column.type) for column in schema}


def required(schema: pa.Schema) -> set[str]:
    return {column.name for column in schema if not column.nullable}


def test_images_have_the_columns_that_downstream_code_knows_first() -> None:
    assert list(spelled(SUCCESS_SCHEMA).items())[: len(SUCCESSES)] == list(SUCCESSES.items())
    ours = {"image_format", "original_format", "retry_count", "final_url", "etag", "last_modified", "fetched_at"}
    assert ours <= set(SUCCESS_SCHEMA.names)
    assert spelled(SUCCESS_SCHEMA)["fetched_at"] == "timestamp[ms, tz=UTC]"
    assert list(spelled(ERROR_SCHEMA).items())[: len(ERRORS)] == list(ERRORS.items())


def test_optional_columns_come_last_as_text() -> None:
    schema = success_schema(["exif", "phash"])
    assert schema.names == [*SUCCESS_SCHEMA.names, "exif", "phash"]
    assert spelled(schema)["phash"] == "string"
    assert success_schema() == SUCCESS_SCHEMA


def test_what_a_record_holds_is_a_column() -> None:
    assert {field.name for field in fields(ImageRecord)} - {"extra"} <= set(SUCCESS_SCHEMA.names)
    assert {field.name for field in fields(ErrorRecord)} <= set(ERROR_SCHEMA.names)


def test_what_nothing_works_without_cannot_be_missing() -> None:
    assert required(URL_SCHEMA) == {"uuid", "identifier", "server_name", "is_license_full"}
    assert required(REJECTED_SCHEMA) == {"reason"}
    assert required(BATCH_SCHEMA) == set(BATCH_SCHEMA.names)
    assert spelled(REJECTED_SCHEMA)["line"] == "int64"
    assert spelled(REJECTED_SCHEMA)["detail"] == "string"
    assert (POOLED, RAW) == ("pooled", "raw")


def test_kept_columns_come_after_ours_and_clash_with_none() -> None:
    schema = url_schema(["license", "gbifID"])
    assert schema.names == [*URL_SCHEMA.names, "keep.license", "keep.gbifID"]
    assert spelled(schema)["keep.gbifID"] == "string"
    assert (kept_column("gbifID"), kept_names(schema), kept_names(URL_SCHEMA)) == (
        "keep.gbifID", ["license", "gbifID"], [],
    )  # fmt: skip
    assert url_schema() == URL_SCHEMA
