"""For `export`: one Lance dataset, whose fragments are written shard by shard and become visible together at the end.

Lance is an optional dependency (`pip install 'ray_downloader[lance]'`), imported here only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa

from ray_downloader.errors import UserError
from ray_downloader.run_folder.atomic import write_text

DATASET = "images.lance"


def require_lance() -> None:
    """Check that Lance is installed, before anything is written.

    Raises:
        UserError: It is not.
    """
    if find_spec("lance") is None:
        raise UserError(
            "tools_parameters.export_format=lance needs the package pylance: pip install 'ray_downloader[lance]', or "
            "choose webdataset, parquet or imagefolder"
        )


def is_there(folder: Path) -> bool:
    """Whether an export into this folder has a dataset."""
    return (folder / DATASET / "_versions").is_dir()


def write_fragments(target: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Write the data of one shard beside those of the others, and to `target` which files that are."""
    from lance.fragment import write_fragments as write  # noqa: PLC0415 (optional)

    dataset = target.parent.parent / DATASET
    dataset.mkdir(parents=True, exist_ok=True)
    written = write(pa.RecordBatchReader.from_batches(schema, batches), str(dataset), schema=schema)
    known = [one.to_json() for one in written if one.physical_rows]
    write_text(target, json.dumps({"schema": _text_of(schema), "fragments": known}) + "\n")


def commit(folder: Path, targets: Iterable[Path]) -> None:
    """Make the dataset consist of exactly these shards, and remove the data of earlier exports."""
    from lance import LanceDataset, LanceOperation  # noqa: PLC0415 (optional)
    from lance.fragment import FragmentMetadata  # noqa: PLC0415

    known: list[dict[str, Any]] = [json.loads(path.read_text("utf-8")) for path in targets]
    fragments = [FragmentMetadata.from_json(json.dumps(one)) for shard in known for one in shard["fragments"]]
    schema = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(known[0]["schema"]))) if known else pa.schema([])
    dataset = LanceDataset.commit(str(folder / DATASET), LanceOperation.Overwrite(schema, fragments))
    dataset.cleanup_old_versions(timedelta(0), delete_unverified=True)


def _text_of(schema: pa.Schema) -> str:
    content: bytes = schema.serialize().to_pybytes()
    return content.hex()
