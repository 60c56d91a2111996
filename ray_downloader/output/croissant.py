"""`croissant.json`: a run described in Croissant 1.1 (https://docs.mlcommons.org/croissant/), JSON-LD for machines.

Fields and their types, counts, licences of the images, what the run was made from and by, and what the servers state
about uses of the images.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import compute

from ray_downloader import __version__
from ray_downloader.config.settings import Settings
from ray_downloader.output.data_card import DATA_FILES, kept_in_run
from ray_downloader.output.parquet import PICTURES
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.base_runs import stored_columns
from ray_downloader.run_folder.layout import SUCCESSES, RunLayout
from ray_downloader.run_folder.schemas import RAW, success_schema
from ray_downloader.run_folder.work_folder import shown_place

CROISSANT = "croissant.json"
_MOST_VALUES = 100
_FILES, _RECORDS = "images", "image"
#: Columns of lists are described by their items.
_TYPES = {
    "string": "sc:Text",
    "bool": "sc:Boolean",
    "int32": "sc:Integer",
    "uint32": "sc:Integer",
    "timestamp[ms, tz=UTC]": "sc:DateTime",
    "binary": "sc:Text",
}
_DESCRIPTIONS = {
    "uuid": "Identifies the row: the same for the same source_id and identifier.",
    "source_id": "Identifier in the list, such as GBIF's of the occurrence.",
    "identifier": "URL of the list.",
    "license": "Licence that the list states.",
    "image": "The picture as stored.",
    "hashsum_original": "MD5 of the bytes received.",
    "hashsum_resized": "MD5 of the stored picture.",
    "original_size": "Height and width before it was shrunk.",
    "resized_size": "Height and width as stored.",
    "usage": "What the server or its robots.txt states about uses of the file.",
    "fetched_at": "When the file was received.",
}
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "equivalentProperty": "cr:equivalentProperty",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


@dataclass(slots=True)
class Facts:
    """Counted over the images: licences, statements about use, and the last day on which one was received."""

    licenses: Counter[str] = field(default_factory=Counter)
    usages: Counter[str] = field(default_factory=Counter)
    last_day: str = ""


def write_croissant(settings: Settings, layout: RunLayout, summary: Mapping[str, Any]) -> None:
    """Write the description of a run that has images."""
    if layout.images.is_dir():
        schema = success_schema(kept_in_run(layout), stored_columns(settings))
        document = croissant(settings, schema, summary, facts_of(layout), _url_of(layout.root))
        write_text(layout.images / CROISSANT, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def facts_of(layout: RunLayout) -> Facts:
    """What the columns of all images say."""
    facts = Facts()
    for path in sorted(layout.images.glob(DATA_FILES)):
        with pq.ParquetFile(path) as file:
            there = [name for name in ("license", "usage", "fetched_at") if name in file.schema_arrow.names]
            columns = file.read(there)
        for name, counts in (("license", facts.licenses), ("usage", facts.usages)):
            if name in there:
                found = columns.column(name).drop_null().value_counts().to_pylist()
                counts.update({one["values"]: one["counts"] for one in found})
        latest = compute.max(columns.column("fetched_at")).as_py() if "fetched_at" in there else None
        facts.last_day = max(facts.last_day, latest.date().isoformat() if latest else "")
    return facts


def _url_of(root: Path) -> str | None:
    place = shown_place(root)
    if place != str(root):
        return place
    return root.as_uri() if root.is_absolute() else None


def croissant(
    settings: Settings, schema: pa.Schema, summary: Mapping[str, Any], facts: Facts, url: str | None
) -> dict[str, Any]:
    """The document.

    Args:
        schema: The columns of `successes.parquet`.
        url: Of the run, which for a run in an object store is not the folder in which it worked.
    """
    rows = summary["rows"]
    name = unquote((url or settings.path_to_output.name).rpartition("/")[2]) or "images"
    origin = settings.path_to_input.rpartition("/")[2]
    program = {"@type": "sc:SoftwareApplication", "name": "ray_downloader", "softwareVersion": __version__}
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": name,
        "description": f"{rows['successes']} images of {rows['input']} rows of {origin}, downloaded by ray_downloader.",
        "url": url or name,
        "license": [text for text, _ in facts.licenses.most_common(_MOST_VALUES)] or ["unknown"],
        "version": "1.0.0",
        "datePublished": facts.last_day or "1970-01-01",
        "creator": {"@type": "sc:Organization", "name": settings.politeness.contact or "unknown"},
        "citeAs": f"Images of {origin}, downloaded with ray_downloader {__version__}",
        "isBasedOn": origin,
        "prov:wasGeneratedBy": program,
        "usageInfo": [f"{text} ({count} images)" for text, count in facts.usages.most_common(_MOST_VALUES)],
        "distribution": [
            {
                "@type": "cr:FileSet",
                "@id": _FILES,
                "name": _FILES,
                "description": "Images and what is known about each.",
                "encodingFormat": "application/x-parquet",
                "includes": DATA_FILES,
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": _RECORDS,
                "name": _RECORDS,
                "description": f"One record per image: {rows['successes']}; files are named {SUCCESSES}.",
                "key": {"@id": f"{_RECORDS}/uuid"},
                "field": [_field(column, settings.image.encode) for column in schema],
            }
        ],
    }


def _field(column: pa.Field, encode: str) -> dict[str, Any]:
    kind = column.type
    is_list = pa.types.is_list(kind)
    data_type = _TYPES.get(str(kind.value_type if is_list else kind), "sc:Text")
    if column.name == PICTURES and encode != RAW:
        data_type = "sc:ImageObject"
    found = {
        "@type": "cr:Field",
        "@id": f"{_RECORDS}/{column.name}",
        "name": column.name,
        "description": _DESCRIPTIONS.get(column.name, column.name.replace("_", " ")),
        "dataType": data_type,
        "source": {"fileSet": {"@id": _FILES}, "extract": {"column": column.name}},
    }
    return {**found, "isArray": True, "cr:arrayShape": "2"} if is_list else found
