"""The snippets of `docs/output.md` that need a large library, one after the other as a reader would type them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.documents import blocks
from tests.support.reported import Listed, reported_run

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of the libraries, which are not ours
    pytest.mark.xdist_group("readers"),
]


@pytest.fixture
def in_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder has a run in `out/` and an `occurrence.txt`."""
    reported_run(tmp_path, [Listed(f"http://a.example/{n}.jpg", listed={"source_id": str(n)}) for n in range(3)])
    (tmp_path / "occurrence.txt").write_text("gbifID\tscientificName\n0\tRosa canina\n2\tBellis\n", "utf-8")
    monkeypatch.chdir(tmp_path)


def _run(marks: tuple[str, ...], names: dict[str, Any]) -> dict[str, Any]:
    for block in blocks():
        if block.mark in marks:
            exec(compile(block.text, str(block.page), "exec"), names)  # our own text
    return names


@pytest.mark.usefixtures("in_a_run")
def test_datasets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    names = _run(("run: pandas-join", "run with datasets"), {})
    images = names["images"]
    assert sorted(filter(None, images["species"])) == ["Bellis", "Rosa canina"]
    assert images[0]["image"].size[0] == 64


@pytest.mark.usefixtures("in_a_run")
def test_spark() -> None:
    sql = pytest.importorskip("pyspark.sql")
    with sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate() as spark:
        names = _run(("run with pyspark",), {"spark": spark})
        assert {row["scientificName"] for row in names["joined"].collect()} == {"Rosa canina", "Bellis", None}
