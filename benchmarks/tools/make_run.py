"""Makes a run folder of 1 M images (100 batches of 10,000 on 20 servers, 2 GB) for the tools that read columns only.

python benchmarks/tools/make_run.py FOLDER

The column `image` is 2 kB of noise: these tools never read it.
"""

from __future__ import annotations

import hashlib
import sys
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.config.settings import OutputStructure
from ray_downloader.run_folder.layout import SUCCESSES, RunLayout
from ray_downloader.run_folder.markers import COMPLETED
from ray_downloader.run_folder.schemas import SUCCESS_SCHEMA

BATCHES = 100
BATCH_ROWS = 10_000
SERVERS = 20
#: Pictures to draw from; 28 % of the rows then share theirs with another row.
PICTURES = 3_000_000
IMAGE_BYTES = 2000


def columns(rng: np.random.Generator, batch: int) -> dict[str, list[Any]]:
    """What is not constant."""
    numbers = range(batch * BATCH_ROWS, (batch + 1) * BATCH_ROWS)
    hashes = [hashlib.md5(str(picture).encode()).hexdigest() for picture in rng.integers(0, PICTURES, BATCH_ROWS)]
    return {
        "uuid": [str(uuid.UUID(bytes=rng.bytes(16))) for _ in numbers],
        "source_id": [str(number) for number in numbers],
        "identifier": [f"http://s{batch % SERVERS}.example/photos/{number}/original.jpg" for number in numbers],
        "hashsum_original": hashes,
        "hashsum_resized": hashes,
        "original_size": rng.integers(100, 3000, (BATCH_ROWS, 2)).tolist(),
        "image": [rng.bytes(IMAGE_BYTES) for _ in numbers],
    }


CONSTANT: dict[str, Any] = {
    "is_license_full": True, "license": "CC BY", "source": "x", "title": "t", "resized_size": [224, 224],
    "image_format": "jpeg", "original_format": "jpeg", "retry_count": 0,
}  # fmt: skip


def main(root: Path) -> None:
    """Write all batches."""
    rng = np.random.default_rng(1)
    layout = RunLayout(root, OutputStructure())
    for batch in range(BATCHES):
        folder = layout.batch_folder(f"s{batch % SERVERS}.example", batch // SERVERS)
        folder.mkdir(parents=True)
        made = columns(rng, batch)
        arrays = [
            pa.array(made.get(field.name, [CONSTANT.get(field.name)] * BATCH_ROWS), field.type)
            for field in SUCCESS_SCHEMA
        ]
        pq.write_table(
            pa.table(arrays, schema=SUCCESS_SCHEMA), folder / SUCCESSES, compression="zstd", row_group_size=256
        )
        (folder / COMPLETED).touch()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
