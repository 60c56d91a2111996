"""`citation.csv` of a run of GBIF's: how many images each dataset gave, as GBIF's form for derived datasets wants it.

https://www.gbif.org/derived-dataset asks for a CSV with a dataset's key and the number of its records, and for the DOI
of the download that the list is, which its `metadata.xml` names.
"""

from __future__ import annotations

import csv
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.parquet as pq

from ray_downloader.csv_cells import safe_cell
from ray_downloader.run_folder.atomic import replacing
from ray_downloader.run_folder.layout import SUCCESSES, RunLayout

CITATION = "citation.csv"
_KEY = "datasetKey"
_DOI = re.compile(r"10\.15468/dl\.[a-z0-9]+", re.IGNORECASE)
_METADATA = "metadata.xml"
_MOST_BYTES = 1 << 24


def cite(layout: RunLayout, path_to_input: str, before: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Write the file; returns what `summary.json` says about it, or None if no image has a dataset's key.

    Args:
        before: The same of an earlier command: the list may be gone by now.
    """
    datasets = write_citation(layout)
    if not datasets:
        return None
    doi = download_doi(path_to_input) or (before or {}).get("download_doi")
    return {"file": CITATION, "datasets": datasets, "download_doi": doi}


def write_citation(layout: RunLayout) -> int:
    """Write the file if the images have a dataset's key.

    Returns:
        The number of datasets.
    """
    counts: Counter[str | None] = Counter()
    for path in sorted(layout.images.glob(f"*/*/{SUCCESSES}")):
        with pq.ParquetFile(path) as file:
            if _KEY in file.schema_arrow.names:
                keys = file.read([_KEY]).column(_KEY).value_counts().to_pylist()
                counts.update({one["values"]: one["counts"] for one in keys})
    for nothing in (None, ""):
        counts.pop(nothing, None)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    if ordered:
        with replacing(layout.root / CITATION) as temp, temp.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([_KEY, "count"])
            writer.writerows((safe_cell(key), count) for key, count in ordered)
    return len(counts)


def download_doi(path_to_input: str) -> str | None:
    """The DOI of the GBIF download that the list is; None if it names none, or is gone."""
    path = Path(path_to_input)
    try:
        if path.is_dir():
            text = (path / _METADATA).read_bytes()[:_MOST_BYTES]
        else:
            text = _zipped(path if zipfile.is_zipfile(path) else None) or (path.parent / _METADATA).read_bytes()
    except (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None  # whatever may be wrong with an archive: the run is finished, and this is only about its list
    found = _DOI.search(text[:_MOST_BYTES].decode("utf-8", "replace"))
    return found[0].lower() if found else None


def _zipped(path: Path | None) -> bytes:
    if path is None:
        return b""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if PurePosixPath(name).name == _METADATA]
        if not names:
            return b"-"
        with archive.open(names[0]) as file:
            return file.read(_MOST_BYTES)
