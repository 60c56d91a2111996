"""Which modules are changed, and which unit tests concern a module. Reads imports only; runs nothing."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

#: Folders (or modules) below `ray_downloader/` whose mutants are drawn.
ROOMS = ("politeness", "worker", "schedule", "output", "fetch", "partition", "tools", "run_folder")
PACKAGE = "ray_downloader"
UNIT_TESTS = Path("tests", "unit")
#: What everything uses is used by tests that say nothing of it: so many of them are tried, those of its room first.
MOST_OTHERS = 12
#: Writes out the constants of many modules; quick, and never left out.
CONSTANTS = str(UNIT_TESTS / "test_constants.py")


@dataclass(frozen=True)
class Tree:
    """A checkout, seen as modules that import each other.

    Args:
        root: The checkout.
    """

    root: Path

    def modules(self, rooms: tuple[str, ...] = ROOMS) -> list[str]:
        """Files of the rooms, as paths from the root. Those without a line of code of their own are left out."""
        found: list[Path] = []
        for room in rooms:
            folder = self.root / PACKAGE / room
            found += (
                sorted(folder.rglob("*.py")) if folder.is_dir() else filter(Path.exists, [folder.with_suffix(".py")])
            )
        return [str(path.relative_to(self.root)) for path in found]

    def tests_of(self, module: str) -> list[list[str]]:
        """The test files that concern a module, in groups: each is tried where the one before it notices nothing.

        1. Its own.
        2. Others that import it.
        3. Where it has none of its own: those of its room that use it through other modules.
        """
        own = str(UNIT_TESTS / Path(module).relative_to(PACKAGE).with_name(f"test_{Path(module).name}"))
        near = str(Path(own).parent)
        name = name_of(module)
        direct = [path for path in self._tests if path != own and name in self._reached_by_test(path)]
        direct.sort(key=lambda path: (path != CONSTANTS, not path.startswith(near), path))
        groups = [[own] if own in self._tests else [], direct[:MOST_OTHERS]]
        if own not in self._tests:
            room = (path for path in self._tests if path.startswith(near) and path not in direct)
            groups.append([path for path in room if name in self._closure(self._reached_by_test(path))])
        return [group for group in groups if group]

    def independent_of(self, module: str, tests: list[str]) -> list[str]:
        """Names of our modules that these tests use and that do not import `module`: they can be imported before."""
        used: set[str] = set()
        for path in tests:
            used |= self._closure(self._reached_by_test(path))
        target = name_of(module)
        return sorted(name for name in used if name.startswith(PACKAGE) and target not in self._closure({name}))

    @cached_property
    def _files(self) -> dict[str, Path]:
        return {
            name_of(str(path.relative_to(self.root))): path
            for folder in (PACKAGE, "tests", "benchmarks")
            for path in (self.root / folder).rglob("*.py")
        }

    @cached_property
    def _tests(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in (self.root / UNIT_TESTS).rglob("test_*.py"))

    @cached_property
    def _imports(self) -> dict[str, set[str]]:
        return {name: self._imported_by(path) for name, path in self._files.items()}

    def _imported_by(self, path: Path) -> set[str]:
        found: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
        return {name for name in found.union(*map(_parents, found)) if name in self._files}

    def _closure(self, names: set[str]) -> set[str]:
        reached: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            if name not in reached:
                reached.add(name)
                left += [*self._imports[name], *(parent for parent in _parents(name) if parent in self._files)]
        return reached

    def _reached_by_test(self, path: str) -> set[str]:
        """Our modules that a test imports by itself, by its fixtures and helpers, or through the door of a folder."""
        helpers = {name_of(path), *(name_of(str(Path(folder, "conftest.py"))) for folder in Path(path).parents)}
        reached: set[str] = set()
        left = list(helpers & self._files.keys())
        while left:
            name = left.pop()
            if name in reached:
                continue
            reached.add(name)
            if not name.startswith(PACKAGE) or self._is_door(name):
                left.extend(self._imports[name])
        return {name for name in reached if name.startswith(PACKAGE)}

    def _is_door(self, name: str) -> bool:
        return self._files[name].name == "__init__.py" and name != PACKAGE


def _parents(name: str) -> set[str]:
    """The folders that are imported before a module."""
    return {name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1)}


def name_of(path: str) -> str:
    """The dotted name of a module's file."""
    parts = Path(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
