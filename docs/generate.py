"""Writes the pages that follow from the code: `python docs/generate.py`. A test says when they are out of date.

`configuration.md` has every key of the settings models; `output.md` gets the columns of the files (between its marks).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa

from ray_downloader.config.compose import group_choices
from ray_downloader.config.help import Key, all_keys
from ray_downloader.errors import TRANSIENT_KINDS, ErrorKind, error_code
from ray_downloader.report.advice import MEANINGS
from ray_downloader.run_folder.schemas import ERROR_SCHEMA, REJECTED_SCHEMA, SUCCESS_SCHEMA

DOCS = Path(__file__).parent

_GROUPS: Mapping[str, str] = {
    "": "The run",
    "downloader_parameters": "downloader_parameters: how much at once, and what is stored",
    "dataset": "dataset: how the list is read",
    "politeness": "politeness: what servers may be asked",
    "network": "network: connections",
    "image": "image: how pictures are stored",
    "cluster": "cluster: where Ray runs",
    "profile": "profile: how servers are measured",
    "fetcher": "fetcher: which library moves the bytes",
    "tools_parameters": "tools_parameters: tools on finished images",
    "logging": "logging: how messages are written",
    "output_structure": "output_structure: names of files and folders",
}
_HEAD = """# Configuration

Every key, with its default and what it means, as `--help-all` prints it. This page is made from the settings models
(`python docs/generate.py`); do not edit it.

Keys are given on the command line as `key=value`, or in a YAML file to `download_images`. A group is chosen by its
name, such as `image=png` or `dataset=gbif`; `+experiment=gbif` chooses several at once. An unknown key is refused with
similar ones.

## Choices

| group | choices |
|---|---|
"""

_COLUMNS: Mapping[str, str] = {
    "uuid": "the row's identity: the same `source_id` and URL give the same uuid in every run",
    "source_id": "the id of the list (GBIF: `gbifID` of the occurrence); the key for joining",
    "identifier": "the URL as the list has it",
    "is_license_full": "whether licence, source and title are all there",
    "license": "as the list has it",
    "source": "as the list has it",
    "title": "as the list has it",
    "hashsum_original": "MD5 of the bytes received",
    "hashsum_resized": "MD5 of `image`",
    "original_size": "`[height, width]` of the picture received",
    "resized_size": "`[height, width]` of `image`",
    "image": "the encoded picture (`image=raw`: height x width x 3 bytes, blue green red)",
    "image_format": "format of `image`",
    "original_format": "format received, recognised from the bytes",
    "retry_count": "requests beyond the first",
    "final_url": "where the bytes came from, after redirects",
    "etag": "of the answer",
    "last_modified": "of the answer",
    "fetched_at": "when the answer was complete, UTC",
    "license_from": "`media` or `occurrence`: which table of an archive has the licence",
    "checksum_ok": "whether the bytes match the list's checksum and size; null if it has none",
    "requested_url": "the URL that was requested, if it is not the one of the list",
    "rendition": "the version of the picture that was requested instead of the listed one",
    "usage": "what the server or its robots.txt states about uses of the file",
    "server_name": "the row's server; only in the folder `pooled`",
    "error_code": "the HTTP status, else -1 network, -2 image, -3 policy",
    "error_msg": "in words, with the first words of the server",
    "error_kind": "one of the kinds below",
    "http_status": "of the last answer, if there was one",
    "retry_after_s": "how long the server asked to be left alone",
    "reason": "why the row cannot be requested",
    "file": "the file of the list",
    "line": "its line there, if known (from 1)",
    "detail": "more about the reason, for rows that name an IIIF manifest",
}


def configuration() -> str:
    """The text of `configuration.md`."""
    lines = [_HEAD.rstrip()]
    lines += [
        f"| `{'+' if group == 'experiment' else ''}{group}=` | {' '.join(f'`{name}`' for name in names)} |"
        for group, names in group_choices().items()
    ]
    keys = list(all_keys())
    for group, heading in _GROUPS.items():
        lines += ["", f"## {heading}", "", "| key | default | meaning |", "|---|---|---|"]
        lines += [_row(key) for key in keys if _group_of(key) == group]
    return "\n".join(lines) + "\n"


def _group_of(key: Key) -> str:
    return key.name.partition(".")[0] if "." in key.name else ""


def _row(key: Key) -> str:
    default = f"`{key.default}`" if key.default else "required"
    others = [choice for choice in key.choices if choice not in re.split(r"[\[\], ]+", key.default)]
    choices = f" Choices: {', '.join(f'`{choice}`' for choice in key.choices)}." if others else ""
    return f"| `{key.name}` | {_cell(default)} | {_cell(key.sentence + choices)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def columns(schema: pa.Schema) -> str:
    """A table of a schema's columns."""
    unknown = [name for name in schema.names if name not in _COLUMNS]
    if unknown:
        raise KeyError(f"docs/generate.py needs a sentence in _COLUMNS for {', '.join(unknown)}")
    rows = (f"| `{column.name}` | {_type(column.type)} | {_COLUMNS[column.name]} |" for column in schema)
    return _table(("column", "type", "meaning"), rows)


def _type(kind: pa.DataType) -> str:
    return f"list of {kind.value_type}" if pa.types.is_list(kind) else str(kind).replace("[ms, tz=UTC]", " (ms, UTC)")


def kinds() -> str:
    """A table of all error kinds."""
    rows = (
        f"| `{kind}` | {_code(kind)} | {MEANINGS[kind].words} | {'yes' if kind in TRANSIENT_KINDS else ''} |"
        for kind in ErrorKind
    )
    return _table(("error_kind", "error_code", "meaning", "may pass"), rows)


def _code(kind: ErrorKind) -> str:
    code = error_code(kind, 0)
    return "HTTP status" if code == 0 else str(code)


def _table(headings: Iterable[str], rows: Iterable[str]) -> str:
    titles = list(headings)
    return "\n".join([f"| {' | '.join(titles)} |", "|---" * len(titles) + "|", *rows])


def output(page: str) -> str:
    """The text of `output.md` with its tables as they should be now."""
    tables = {
        "successes": columns(SUCCESS_SCHEMA),
        "errors": columns(ERROR_SCHEMA),
        "rejected": columns(REJECTED_SCHEMA),
        "kinds": kinds(),
    }
    for name, table in tables.items():
        begin, end = f"<!-- {name}: made by docs/generate.py -->", f"<!-- end of {name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        page = pattern.sub(lambda _, text=f"{begin}\n\n{table}\n\n{end}": text, page)  # type: ignore[misc]
    return page


def pages() -> dict[Path, str]:
    """Every generated page and its text."""
    page = DOCS / "output.md"
    return {DOCS / "configuration.md": configuration(), page: output(page.read_text("utf-8"))}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, "utf-8")
