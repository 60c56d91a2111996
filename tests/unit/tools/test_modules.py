"""A user's own modules are found by file and by name, and nothing else is taken for them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ray_downloader.errors import UserError
from ray_downloader.tools.modules import load_modules


@pytest.fixture(autouse=True)
def _own_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_file_is_imported_by_its_stem_from_wherever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_tool_a.py").write_text("import own_helper_a\nvalue = own_helper_a.value\n")
    (tmp_path / "own_helper_a.py").write_text("value = 7\n")
    monkeypatch.chdir(tmp_path)
    load_modules(["own_tool_a.py"])
    assert sys.modules["own_tool_a"].value == 7
    assert sys.path.count(str(tmp_path)) == 1
    load_modules([str(tmp_path / "own_tool_a.py")])
    assert sys.path.count(str(tmp_path)) == 1
    assert sys.path[0] == str(tmp_path), "before anything of the same name"


def test_each_is_imported_once(tmp_path: Path) -> None:
    (tmp_path / "own_tool_b.py").write_text("import builtins\nbuiltins.times = getattr(builtins, 'times', 0) + 1\n")
    load_modules([str(tmp_path / "own_tool_b.py")] * 2)
    import builtins

    assert builtins.__dict__.pop("times") == 1


def test_a_name_is_looked_for_in_the_folder_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_package_c").mkdir()
    (tmp_path / "own_package_c" / "tools.py").write_text("value = 8\n")
    monkeypatch.chdir(tmp_path)
    load_modules(["own_package_c.tools"])
    assert sys.modules["own_package_c.tools"].value == 8
    load_modules(["own_package_c.tools"])
    assert sys.path.count(str(tmp_path)) == 1
    assert sys.path[0] == str(tmp_path)


@pytest.mark.parametrize("name", ["no_such_package", "no_such_package.tools", "json.no_such_module"])
def test_a_name_that_is_not_there_is_said(name: str) -> None:
    with pytest.raises(UserError, match=f"there is no module '{name}'"):
        load_modules([name])


def test_a_module_that_lacks_another_one_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_tool_d.py").write_text("import no_such_library\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        load_modules(["own_tool_d"])


@pytest.mark.parametrize("name", ["none.py", "folder.py"])
def test_a_file_that_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(UserError, match=rf"{name} does not exist"):
        load_modules([str(tmp_path / name)])


@pytest.mark.parametrize("name", ["json", "sys"])
def test_a_file_must_not_have_the_name_of_another_module(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("")
    with pytest.raises(UserError, match=f"{name} is already a module .*give .* another name"):
        load_modules([str(tmp_path / f"{name}.py")])
