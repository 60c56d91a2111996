"""Run the program as a user does, in a process of its own, and read what it left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TIMEOUT_S = 420
ENVIRONMENT = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}


def command(*arguments: str) -> list[str]:
    """The command line; two cores, as CI has."""
    return [sys.executable, "-m", "ray_downloader", *arguments]


def run_program(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run to the end."""
    return subprocess.run(
        command(*arguments), cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


def as_override(key: str, value: Mapping[str, str]) -> str:
    """A mapping as Hydra takes it on the command line."""
    items = ",".join(f'"{name}":"{target}"' for name, target in value.items())
    return f"{key}={{{items}}}"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of a run."""

    root: Path

    @property
    def summary(self) -> dict[str, Any]:
        """`summary.json`."""
        document: dict[str, Any] = json.loads((self.root / "summary.json").read_text("utf-8"))
        return document

    def successes(self, columns: list[str] | None = None) -> pa.Table:
        """All images."""
        return self._read("successes.parquet", columns)

    def errors(self) -> pa.Table:
        """All errors."""
        return self._read("errors.parquet", None)

    def rejected(self) -> pa.Table:
        """All rejected rows."""
        return pq.read_table(self.root / "urls" / "rejected.parquet")

    def settled_uuids(self) -> Counter[str]:
        """How often each uuid stands in successes or errors."""
        both = (self.successes(["uuid"]), self.errors().select(["uuid"]))
        return Counter(uuid for table in both for uuid in table["uuid"].to_pylist())

    def _read(self, name: str, columns: list[str] | None) -> pa.Table:
        files = sorted(self.root.glob(f"images/server_name=*/partition_id=*/{name}"))
        tables = [pq.ParquetFile(file).read(columns) for file in files]  # those of shared batches name the server, too
        return pa.concat_tables(tables, promote_options="default")
