"""What the partition stage counted, and the file that a resumed run reads it from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ray_downloader.errors import DamagedFileError, UserError
from ray_downloader.run_folder.atomic import write_text
from ray_downloader.run_folder.file_errors import require_damage
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.small_json import read_object


@dataclass(frozen=True, slots=True)
class PartitionSummary:
    """Rows in = accepted + rejected; servers of the accepted rows, their batches; the dataset, and how it was read."""

    input_rows: int
    accepted_rows: int
    rejected_by_reason: Mapping[str, int]
    servers: int
    batches: int
    dataset: str = ""
    read_as: Sequence[str] = ()

    def to_json(self) -> str:
        """The text of `urls/partition.json`."""
        return json.dumps(asdict(self), indent=2) + "\n"


def save_partition_summary(layout: RunLayout, summary: PartitionSummary) -> None:
    """Write `urls/partition.json`."""
    write_text(layout.partition_summary_file, summary.to_json())


def load_partition_summary(layout: RunLayout) -> PartitionSummary:
    """Read what `save_partition_summary` wrote.

    Raises:
        UserError: The file does not exist, or is damaged.
    """
    path = layout.partition_summary_file
    try:
        return read_partition_summary(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; run the partition stage first") from None
    except (OSError, ValueError) as error:
        require_damage(error, path)
        raise DamagedFileError.of(path, error) from None


def read_partition_summary(path: Path) -> PartitionSummary:
    """Read such a file; what another version added is left out.

    Raises:
        OSError: It cannot be read.
        ValueError: It is another file.
    """
    known = read_object(path)
    try:
        return PartitionSummary(
            input_rows=int(known["input_rows"]),
            accepted_rows=int(known["accepted_rows"]),
            rejected_by_reason={str(reason): int(rows) for reason, rows in known["rejected_by_reason"].items()},
            servers=int(known["servers"]),
            batches=int(known["batches"]),
            dataset=str(known.get("dataset", "")),
            read_as=tuple(map(str, known.get("read_as", ()))),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"unexpected content: {error!r}") from None
