"""`python -m ray_downloader.slurm [FOLDER]`: writes the sbatch script and `site.env.example` into a folder.

For users of the wheel, who have no source checkout. Existing files are kept.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
#: In a wheel the files are in this package, in a source checkout in `slurm/`.
_FOLDERS = (_PACKAGE, _PACKAGE.parent.parent / "slurm")
FILES = ("ray_downloader.sbatch", "site.env.example")


def main(folder: Path) -> list[Path]:
    """Copy the files that are missing.

    Returns:
        The files that were written.
    """
    source = next(source for source in _FOLDERS if (source / FILES[0]).exists())
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / name for name in FILES if not (folder / name).exists()]
    for path in written:
        shutil.copy(source / path.name, path)
    return written


if __name__ == "__main__":
    for file in main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")):
        sys.stdout.write(f"{file}\n")
