"""A Lance dataset is made of the fragments of its shards, and of nothing else. Lance itself is a stand-in."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from ray_downloader.errors import UserError
from ray_downloader.tools.builtin import lance_dataset
from ray_downloader.tools.builtin.lance_dataset import commit, is_there, require_lance, write_fragments

SCHEMA = pa.schema([("uuid", pa.string())])


class _Lance:
    """Notes what it is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written: list[tuple[list[dict[str, Any]], str, pa.Schema]] = []
        self.committed: list[tuple[str, pa.Schema, list[Any]]] = []
        self.cleaned: list[tuple[timedelta, bool]] = []
        lance, fragment = ModuleType("lance"), ModuleType("lance.fragment")
        lance.LanceDataset = SimpleNamespace(commit=self._commit)  # type: ignore[attr-defined] # of a stand-in
        lance.LanceOperation = SimpleNamespace(Overwrite=lambda schema, parts: (schema, parts))  # type: ignore[attr-defined] # likewise
        fragment.write_fragments = self._write  # type: ignore[attr-defined] # likewise
        fragment.FragmentMetadata = SimpleNamespace(from_json=json.loads)  # type: ignore[attr-defined] # likewise
        monkeypatch.setitem(sys.modules, "lance", lance)
        monkeypatch.setitem(sys.modules, "lance.fragment", fragment)

    def _write(self, reader: pa.RecordBatchReader, dataset: str, schema: pa.Schema) -> list[SimpleNamespace]:
        rows = reader.read_all().to_pylist()
        self.written.append((rows, dataset, schema))
        parts = [(len(rows), {"id": 1}), (0, {"id": 2})]
        return [SimpleNamespace(physical_rows=count, to_json=lambda told=told: told) for count, told in parts]

    def _commit(self, dataset: str, operation: tuple[pa.Schema, list[Any]]) -> SimpleNamespace:
        self.committed.append((dataset, *operation))

        def clean(age: timedelta, *, delete_unverified: bool) -> None:
            self.cleaned.append((age, delete_unverified))

        return SimpleNamespace(cleanup_old_versions=clean)


def test_a_dataset_is_there_once_it_has_a_version(tmp_path: Path) -> None:
    assert not is_there(tmp_path)
    (tmp_path / "images.lance" / "data").mkdir(parents=True)
    assert not is_there(tmp_path)
    (tmp_path / "images.lance" / "_versions").mkdir()
    assert is_there(tmp_path)


@pytest.mark.parametrize("is_installed", [True, False])
def test_lance_is_asked_for_by_its_name(monkeypatch: pytest.MonkeyPatch, is_installed: bool) -> None:
    known = {"lance": object()} if is_installed else {}
    monkeypatch.setattr(lance_dataset, "find_spec", known.get)
    if is_installed:
        require_lance()
        return
    with pytest.raises(UserError, match="needs the package pylance"):
        require_lance()


def test_a_dataset_consists_of_what_its_shards_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lance = _Lance(monkeypatch)
    folder = tmp_path / "export" / "lance"
    targets = [folder / "fragments" / f"{number}.json" for number in range(2)]
    for target in targets:
        write_fragments(target, SCHEMA, [pa.record_batch([[target.stem]], schema=SCHEMA)])
    dataset = str(folder / "images.lance")
    assert [(rows, at) for rows, at, _ in lance.written] == [([{"uuid": "0"}], dataset), ([{"uuid": "1"}], dataset)]
    assert all(schema == SCHEMA for *_, schema in lance.written)
    assert Path(dataset).is_dir()
    commit(folder, targets)
    commit(folder, targets[:1])
    assert [committed[:2] for committed in lance.committed] == [(dataset, SCHEMA)] * 2
    parts = [found for *_, found in lance.committed]
    assert parts == [[{"id": 1}, {"id": 1}], [{"id": 1}]], "files without rows are left out"
    assert lance.cleaned == [(timedelta(0), True)] * 2


def test_an_export_of_nothing_has_no_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lance = _Lance(monkeypatch)
    commit(tmp_path, [])
    assert lance.committed == [(str(tmp_path / "images.lance"), pa.schema([]), [])]
