"""`run.json`: what a run is, so that a later call knows whether it continues it.

A run is the content of its list, the keys that decide its rows, and what it stores of a picture. Paths are hints: a
run may be moved, its list too. A reader takes what it knows and keeps the rest, as other versions write other keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ray_downloader.config.settings import Settings
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.file_errors import require_damage
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.small_json import parse_object, read_object

VERSION = 1
ACCEPTED = "accepted_rows"
_OURS = {"version", "list", "rows", "pictures", "batches"}
#: Keys of `dataset` that do not affect which rows there are.
_NOT_OF_ROWS = {"input_help", "checksum", "keep"}
#: Keys of `image` that do not affect what a stored picture is, but which are stored and with which columns.
_NOT_OF_PICTURES = {"name", "changed", "max_pixels", "min_size", "max_aspect_ratio", "extra_columns", "placeholders"}


@dataclass(frozen=True, slots=True)
class ListIdentity:
    """A list.

    Args:
        sha256: Of its content; for several files, of their sorted checksums.
        size_bytes: Of all files.
        rows: All of them, also those that were rejected.
        path: Where it was when it was last read.
        stamp: Changes when one of its files is touched; equal stamps spare reading the content.
    """

    sha256: str = ""
    size_bytes: int = 0
    rows: int = 0
    path: str = ""
    stamp: str = ""


UNKNOWN_LIST = ListIdentity()


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """What a run is.

    Args:
        listed: Its list.
        rows: The keys that decide which rows there are.
        pictures: The keys that decide what a stored picture is; empty if that is unknown.
        batches: How its rows were cut into batches, how many they are, and whether the run was extended, so that
            `urls/` can be made anew, and an earlier copy of it is known as one.
        others: What another version wrote.
    """

    listed: ListIdentity = UNKNOWN_LIST
    rows: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, Any] = field(default_factory=dict)
    batches: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """The content of `run.json`."""
        ours = {"list": asdict(self.listed), "rows": self.rows, "pictures": self.pictures, "batches": self.batches}
        return json.dumps({**self.others, "version": VERSION, **ours}, indent=2) + "\n"

    @classmethod
    def parse(cls, text: str) -> RunIdentity:
        """Read `run.json`.

        Raises:
            ValueError: It is not such a file.
        """
        document = parse_object(text)
        try:
            listed = {key: document["list"][key] for key in ListIdentity.__slots__ if key in document["list"]}
            others = {key: value for key, value in document.items() if key not in _OURS}
            rows, pictures, batches = (dict(document.get(key, {})) for key in ("rows", "pictures", "batches"))
            return cls(ListIdentity(**listed), rows, pictures, batches, others)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"unexpected content: {error!r}") from None


def row_keys(settings: Settings) -> dict[str, Any]:
    """The keys that decide which rows a list has."""
    keys = {
        f"dataset.{key}": value
        for key, value in settings.dataset.model_dump(mode="json").items()
        if key not in _NOT_OF_ROWS
    }
    header = settings.downloader_parameters.header
    return {**keys, "downloader_parameters.header": header if isinstance(header, bool) else None}


def picture_keys(settings: Settings) -> dict[str, Any]:
    """The keys that decide what a stored picture is."""
    keys = settings.image.model_dump(mode="json", exclude=_NOT_OF_PICTURES)
    return {"downloader_parameters.image_size": settings.downloader_parameters.image_size} | {
        f"image.{key}": value for key, value in keys.items()
    }


def picture_note(settings: Settings) -> str:
    """The same as text, for the files that the pictures end in."""
    return json.dumps(picture_keys(settings), sort_keys=True)


def changed_keys(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Keys of both whose values differ, with the values; a key that only one of them has decides nothing."""
    return {key: (before[key], now[key]) for key in now if key in before and before[key] != now[key]}


def load_identity(layout: RunLayout) -> tuple[RunIdentity | None, str]:
    """What the run is; None, and why, if that is not known: there is no usable `run.json`."""
    try:
        return RunIdentity.parse(layout.run_file.read_text("utf-8")), ""
    except FileNotFoundError:
        return None, f"{layout.run_file} does not exist"
    except (OSError, ValueError) as error:
        require_damage(error, layout.run_file)
        return None, f"{layout.run_file} is damaged ({error})"


def earlier_pictures(layout: RunLayout) -> Mapping[str, object]:
    """What a stored picture is in a run of an earlier version, which had no `run.json`; empty if that is unknown."""
    try:
        document = read_object(layout.settings_file)
        known = {f"image.{key}": value for key, value in document["image"].items()}
        return known | {"downloader_parameters.image_size": document["downloader_parameters"]["image_size"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def save_identity(layout: RunLayout, identity: RunIdentity) -> None:
    """Write `run.json`."""
    write_text(layout.run_file, identity.to_json())


#: The keys of the configuration that decide how rows are cut into batches.
_CUT_BY = {"batch_size", "pool_below"}


def batch_keys(settings: Settings, accepted_rows: int) -> dict[str, Any]:
    """The keys that decide how rows are cut into batches, and how many rows were."""
    return {**settings.downloader_parameters.model_dump(include=_CUT_BY), ACCEPTED: accepted_rows}


def cut_as_before(settings: Settings, batches: Mapping[str, Any]) -> Settings:
    """The settings with which rows are cut into the same batches again."""
    kept = {key: batches[key] for key in sorted(_CUT_BY & batches.keys())}
    parameters = settings.downloader_parameters.model_copy(update=kept)
    return settings.model_copy(update={"downloader_parameters": parameters})


def with_list(identity: RunIdentity | None, listed: ListIdentity, settings: Settings) -> RunIdentity:
    """The identity of the run with this list."""
    return replace(identity or RunIdentity(), listed=listed, rows=row_keys(settings))
