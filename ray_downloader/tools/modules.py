"""Imports the modules that register a user's own tools: dotted names, or `.py` files anywhere."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path

from ray_downloader.errors import UserError
from ray_downloader.machine import with_home


def load_modules(names: Iterable[str]) -> None:
    """Import each module once.

    Raises:
        UserError: There is no such module or file, or another module has its name.
    """
    for name in names:
        if name.endswith(".py"):
            _load_file(with_home(name).absolute())
        else:
            _load_dotted(name)


def _load_file(path: Path) -> None:
    """Import a file by its stem, with its folder on the path, so that worker processes find it by the same name."""
    if not path.is_file():
        raise UserError(f"tools_parameters.modules: {path} does not exist")
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    module = importlib.import_module(path.stem)
    found = getattr(module, "__file__", None)
    if found is None or Path(found).resolve() != path.resolve():
        raise UserError(
            f"tools_parameters.modules: {path.stem} is already a module ({found}); give {path} another name"
        )


def _load_dotted(name: str) -> None:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        raise UserError(
            f"tools_parameters.modules: there is no module {name!r} on the Python path or in {Path.cwd()}"
        ) from None
