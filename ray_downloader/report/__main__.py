"""`python -m ray_downloader.report OUT [--pictures open|all|none]`: writes `OUT/report.html`, from files alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ray_downloader.config.options import OneSentenceParser
from ray_downloader.errors import ExitCode, UserError
from ray_downloader.report.pictures import Pictures
from ray_downloader.report.write import write_report
from ray_downloader.run_folder.file_errors import file_error
from ray_downloader.stores.reading import all_files, find_run


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report; returns the exit code."""
    parser = OneSentenceParser(
        prog="python -m ray_downloader.report",
        description="Writes report.html into a run folder: one file, without network, of a run in any state.",
    )
    parser.add_argument("out", help="run folder or URL (path_to_output)")
    parser.add_argument(
        "--pictures",
        choices=[each.value for each in Pictures],
        default=Pictures.OPEN.value,
        help="thumbnails: only images whose licence allows them to be passed on (default), all, or none",
    )
    given = parser.parse_args(arguments)
    folder = Path(given.out)
    try:
        run = find_run(given.out)
        folder = run.folder
        run.refresh(all_files)
        path = write_report(run.folder, Pictures(given.pictures))
        run.send([path, *run.folder.glob("*_mqc.json")])
    except UserError as error:
        return _failed(error)
    except OSError as error:
        told = file_error(error, folder)
        if told is None:
            raise
        return _failed(told)
    print(path if run.store is None else f"{run.place}/{path.name}")  # noqa: T201
    return ExitCode.SETTLED


def _failed(error: UserError) -> int:
    print(f"ray_downloader.report: {error}", file=sys.stderr)  # noqa: T201
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
