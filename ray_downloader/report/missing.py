"""Which rows have no image, from whom they are, and whom to ask.

Read from the list's batches of the servers that miss the most rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.partition.batches import Batch
from ray_downloader.report.advice import meaning
from ray_downloader.report.servers import OTHERS, ServerLine
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.schemas import POOLED, kept_column
from ray_downloader.run_folder.small_tables import reading

#: Servers that are named: those that miss the most rows.
MOST_SERVERS = 100
#: Batches whose lists are read for the names of publishers: 1 ms each.
MOST_BATCHES = 200
_PUBLISHERS = ("source", kept_column("publisher"), kept_column("institutionCode"))
_DATASETS = kept_column("datasetKey")


@dataclass(frozen=True, slots=True)
class Missing:
    """Rows of one server without an image.

    Args:
        server: The server.
        rows: How many.
        kind: The error kind of most of them.
        publisher: From whom most of its rows are, as the list says.
        dataset: GBIF's key of the dataset that most of its rows are from.
        ask: Whom to ask, and for what.
    """

    server: str
    rows: int
    kind: str
    publisher: str
    dataset: str
    ask: str


def missing_rows(layout: RunLayout, lines: Sequence[ServerLine], batches: Iterable[Batch]) -> list[Missing]:
    """The servers that miss the most rows, and whom to ask about them."""
    failed = sorted((line for line in lines if line.errors and line.server != OTHERS), key=lambda line: -line.failed)
    shown = failed[:MOST_SERVERS]
    origins = _origins(layout, {line.server for line in shown}, batches)
    return [_missing(line, origins.get(line.server, {})) for line in shown]


def _missing(line: ServerLine, origin: Mapping[str, str]) -> Missing:
    kind = max(line.errors, key=lambda kind: (line.errors[kind], kind))
    publisher, dataset = origin.get("publisher", ""), origin.get("dataset", "")
    return Missing(line.server, line.failed, kind, publisher, dataset, meaning(kind).ask)


def _origins(layout: RunLayout, servers: set[str], batches: Iterable[Batch]) -> dict[str, dict[str, str]]:
    """By server, the publisher and the dataset of most of its rows, as its first batch has them."""
    chosen: dict[str, Batch] = {}
    pooled: list[Batch] = []
    for batch in batches:
        if batch.server_name == POOLED:
            pooled.append(batch)
        else:
            chosen.setdefault(batch.server_name, batch)
    wanted = [chosen[server] for server in sorted(servers & chosen.keys())]
    if servers - chosen.keys():
        wanted += pooled
    seen: dict[str, dict[str, Counter[str]]] = {}
    for name, batches_of_file in _by_file(wanted[:MOST_BATCHES]).items():
        path = layout.urls / name
        with reading(path), pq.ParquetFile(path) as file:  # once: its footer describes 10^4 batches
            for batch in batches_of_file:
                _read_origins(file, batch, servers, seen)
    return {
        server: {name: counts.most_common(1)[0][0] for name, counts in names.items() if counts}
        for server, names in seen.items()
    }


def _by_file(batches: Iterable[Batch]) -> dict[str, list[Batch]]:
    grouped: dict[str, list[Batch]] = {}
    for batch in batches:
        grouped.setdefault(batch.file, []).append(batch)
    return grouped


def _read_origins(
    file: pq.ParquetFile, batch: Batch, servers: set[str], seen: dict[str, dict[str, Counter[str]]]
) -> None:
    there = file.schema_arrow.names
    publisher = [name for name in _PUBLISHERS if name in there]
    wanted = ["server_name", *publisher, *([_DATASETS] if _DATASETS in there else [])]
    rows = file.read_row_group(batch.row_group, columns=wanted)
    for row, count in _counted(rows):
        if row["server_name"] not in servers:
            continue
        names = seen.setdefault(row["server_name"] or "", {"publisher": Counter(), "dataset": Counter()})
        for key, value in (("publisher", _first(row, publisher)), ("dataset", row.get(_DATASETS))):
            if value:
                names[key][value] += count


def _counted(rows: pa.Table) -> Iterator[tuple[dict[str, str | None], int]]:
    """Different rows, each with its number; `Table.group_by` would import pandas, which takes longer than the rest."""
    codes = np.zeros(rows.num_rows, np.int64)
    values: list[list[str | None]] = []
    for column in rows.columns:
        encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
        values.append(encoded.dictionary.to_pylist())
        codes = codes * len(values[-1]) + encoded.indices.to_numpy()
    for combined, count in zip(*(part.tolist() for part in np.unique(codes, return_counts=True)), strict=True):
        code, row = combined, dict[str, str | None]()
        for name, texts in zip(reversed(rows.schema.names), reversed(values), strict=True):
            code, place = divmod(code, len(texts))
            row[name] = texts[place]
        yield row, count


def _first(row: Mapping[str, str | None], names: Sequence[str]) -> str | None:
    return next((value for name in names if (value := row[name])), None)
