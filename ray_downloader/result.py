"""What `download_images` returns: how the run ended, its counts, and where its files are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ray_downloader.errors import ExitCode, UserError
from ray_downloader.monitor.summary import load_summary
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES, RunLayout

if TYPE_CHECKING:
    import pandas as pd


class RunResult(int):
    """The result of a run. It is the exit code as well, so `sys.exit(download_images(...))` works.

    Attributes:
        path: The run folder.
        rows: Rows by what became of them: `input`, `rejected`, `successes`, `errors`, `left`.
        summary: The document of `summary.json`; empty if no download was begun.
    """

    path: Path
    rows: Mapping[str, int]
    summary: Mapping[str, Any]
    _layout: RunLayout

    def __new__(cls, exit_code: ExitCode, layout: RunLayout) -> RunResult:
        """Read what a run left in its folder."""
        result = super().__new__(cls, exit_code)
        result._layout = layout
        result.path = layout.root
        result.summary = load_summary(layout) or {}
        counts = result.summary.get("rows", {})
        result.rows = {**counts, "left": result.summary.get("unsettled_rows", 0)} if counts else {}
        return result

    @property
    def exit_code(self) -> ExitCode:
        """0: every row is settled; 3: not every row has a final answer, and the same call continues."""
        return ExitCode(int(self))

    @property
    def is_finished(self) -> bool:
        """Whether every row is settled."""
        return self.exit_code is ExitCode.SETTLED

    @property
    def successes(self) -> list[Path]:
        """The files with images."""
        return sorted(self._layout.images.glob(f"*/*/{SUCCESSES}"))

    @property
    def errors(self) -> list[Path]:
        """The files with errors."""
        return sorted(self._layout.images.glob(f"*/*/{ERRORS}"))

    @property
    def report(self) -> Path:
        """The page about the run."""
        return self.path / "report.html"

    def to_pandas(self, columns: Sequence[str] | None = None, *, errors: bool = False) -> pd.DataFrame:
        """The rows with an image, or those that ended as an error, as one table.

        Args:
            columns: What to read; by default everything but the pictures themselves, which may not fit in memory.
            errors: Read the errors instead.

        Raises:
            UserError: pandas is not installed.
        """
        try:
            import pandas  # noqa: F401, PLC0415 (an optional dependency)
        except ImportError:
            raise UserError("to_pandas() needs pandas: pip install 'ray-downloader[pandas]'") from None
        tables = [_read(path, columns) for path in (self.errors if errors else self.successes)]
        table = pa.concat_tables(tables, promote_options="default") if tables else pa.table({})
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def __str__(self) -> str:
        return str(int(self))

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {count}" for name, count in self.rows.items())
        return f"<RunResult {self.exit_code.name.lower()}: {counts or 'no download'}; {self.path}>"


def _read(path: Path, columns: Sequence[str] | None) -> pa.Table:
    names = columns or [name for name in pq.read_schema(path).names if name != "image"]
    return pq.read_table(path, columns=list(names), partitioning=None)
