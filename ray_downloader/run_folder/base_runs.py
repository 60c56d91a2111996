"""`base=`: run folders of earlier lists, from which pictures are taken, and what was found in them (`urls/base.json`).

An earlier run is only read. Whatever speaks against it is said before anything is fetched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ray_downloader.config.settings import OutputStructure, Settings
from ray_downloader.errors import UserError
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.identity import RunIdentity, changed_keys, earlier_pictures, load_identity, picture_keys
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.small_json import read_object
from ray_downloader.run_folder.stored_structure import stored_structure
from ray_downloader.run_folder.work_folder import shown_place

_VERSION = 1
#: The column that says how a picture came into a run with `base`; null for those that were fetched.
REUSED = "reused"
#: Its values: the row is that of an earlier run, without a request; or its server answered 304.
LINKED, NOT_MODIFIED = "linked", "not_modified"


@dataclass(frozen=True, slots=True)
class BasePlan:
    """What earlier runs have of the rows of a list.

    Args:
        runs: Their folders, as given.
        batches: Checksum of the index of the batches for which it was made.
        files: Their tables of pictures: number of the run, and path in it.
        rows: How many rows of the list they have, by server.
        vanished: How many rows of theirs the list does not have any more.
        is_taken: Whether everything that could be taken from them has been; from then on they are not needed.
        refetch: What the taken pictures were to be: results (null), or what servers are asked about.
    """

    runs: tuple[str, ...] = ()
    batches: str = ""
    files: tuple[tuple[int, str], ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    vanished: int = 0
    is_taken: bool = False
    refetch: str | None = None

    @property
    def total(self) -> int:
        """How many rows of the list earlier runs have."""
        return sum(self.rows.values())

    @property
    def places(self) -> tuple[str, ...]:
        """The runs as a user calls them: one in an object store was read in a folder of this machine."""
        return tuple(shown_place(Path(run)) for run in self.runs)

    def is_for(self, settings: Settings, layout: RunLayout) -> bool:
        """Whether it is about these earlier runs, to be used in this way, and the batches as they are now."""
        is_same = (self.runs, self.refetch) == (tuple(settings.base), settings.refetch)
        return is_same and self.batches == checksum_of_batches(layout)


def stored_columns(settings: Settings) -> tuple[str, ...]:
    """The optional columns of images that a run stores."""
    return (*settings.image.extra_columns, REUSED) if settings.base else settings.image.extra_columns


def checksum_of_batches(layout: RunLayout) -> str:
    """Changes when rows are added to a run, or its list is partitioned again; empty before that was done."""
    if not layout.batches_table.exists():
        return ""
    return hashlib.sha256(layout.batches_table.read_bytes()).hexdigest()


def load_base_plan(layout: RunLayout) -> BasePlan | None:
    """What `save_base_plan` wrote; None if there is no usable file."""
    try:
        values = read_object(layout.base_file)
        return BasePlan(
            tuple(map(str, values["runs"])),
            str(values["batches"]),
            tuple((int(run), str(path)) for run, path in values["files"]),
            {str(server): int(rows) for server, rows in values["rows"].items()},
            int(values["vanished"]),
            bool(values["is_taken"]),
            values["refetch"],
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def save_base_plan(layout: RunLayout, plan: BasePlan) -> None:
    """Write `urls/base.json`."""
    write_text(layout.base_file, json.dumps({"version": _VERSION, **asdict(plan)}) + "\n")


def mark_taken(layout: RunLayout, plan: BasePlan) -> None:
    """Note that the earlier runs are not needed any more."""
    save_base_plan(layout, replace(plan, is_taken=True))


def base_layouts(settings: Settings) -> list[RunLayout]:
    """The earlier runs, after checking that their pictures are those that this run would store.

    Raises:
        UserError: A folder is not an earlier run, or its pictures are of another kind.
    """
    return [_checked(settings, Path(path)) for path in settings.base]


def _checked(settings: Settings, root: Path) -> RunLayout:
    place = shown_place(root)
    if not root.is_dir():
        raise UserError(
            f"base={place} is not a folder: name the path_to_output of an earlier run (its new place, if it was "
            "moved), or leave base out to fetch everything"
        )
    if root.resolve() == settings.path_to_output.resolve():
        raise UserError(f"base={place} is the path_to_output of this run; name the folder of an earlier run")
    if any((root / "urls").glob("server_name=*")):
        raise UserError(
            f"base={place} is a run folder of distributed-downloader, whose pictures are stored differently; the tool "
            "merge_base compares a run with it"
        )
    structure = _structure_of(root)
    layout = RunLayout(root, structure or OutputStructure())
    if structure is None or not layout.images.is_dir():
        raise UserError(f"base={place} is not a run folder: it has no settings.json or no {layout.images.name} folder")
    pictures = (load_identity(layout)[0] or RunIdentity()).pictures or earlier_pictures(layout)
    if not pictures:
        raise UserError(f"base={place}: {layout.settings_file} does not say what its pictures are; leave base out")
    changed = changed_keys(pictures, picture_keys(settings))
    if changed:
        values = "; ".join(f"{key}={old} there, {new} here" for key, (old, new) in changed.items())
        as_there = " ".join(f"{key}={old}" for key, (old, _) in changed.items())
        raise UserError(
            f"base={place} holds pictures of another kind ({values}): store pictures as there with {as_there}, or "
            "leave base out to fetch everything"
        )
    return layout


def _structure_of(root: Path) -> OutputStructure | None:
    """Names of the folders of a run; None if there are no settings of one."""
    try:
        return stored_structure((root / "settings.json").read_text("utf-8"))
    except (OSError, ValueError, AttributeError):
        return None
