"""The libraries that read a run and its exports, each by the way that `images/README.md` or its own documents show.

`make test-readers` installs them and runs these tests; in other runs, those whose library is missing are skipped.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pyarrow.dataset import dataset

from ray_downloader.config.settings import Settings
from ray_downloader.output.data_card import write_data_card
from ray_downloader.output.parquet import write_parquet
from ray_downloader.run_folder.file_hash import sha256_of
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES, RunLayout
from ray_downloader.run_folder.markers import write_marker
from ray_downloader.run_folder.schemas import ERROR_SCHEMA, SERVER_NAME, success_schema
from ray_downloader.tools.base import TOOLS
from ray_downloader.tools.context import ToolContext
from tests.support.stored import received, row, run_here

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # of the libraries, which are not ours
    pytest.mark.xdist_group("readers"),
]
IMAGES = 10


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunLayout]:
    """A run as it is after the download: a server with licences, one without, one that failed, and small servers."""
    root = tmp_path_factory.mktemp("run")
    settings = Settings.from_config({"path_to_input": "", "path_to_output": root})
    layout = RunLayout.of(settings)
    schema, numbers = success_schema(["species"]), iter(range(IMAGES))
    for server, images, license_text in (("a.example", 4, "CC0"), ("b.example", 3, None), ("c.example", 0, None)):
        rows = [row(f"u{n}.x", received(n), license=license_text, species="Aus") for n in islice(numbers, images)]
        _write(layout, server, rows, schema, ERROR_SCHEMA)
    rows = [row(f"u{n}", received(n), species=None, server_name=f"s{n}.example") for n in numbers]
    _write(layout, "pooled", rows, pa.schema([*schema, SERVER_NAME]), pa.schema([*ERROR_SCHEMA, SERVER_NAME]))
    summary = {"rows": {"input": 11, "rejected": 0, "successes": IMAGES, "errors": 1}, "servers": {}}
    layout.urls.mkdir()
    pq.write_table(pa.table({"keep.species": pa.array([], pa.string())}), layout.urls / "rows-00000.parquet")
    write_data_card(layout, settings, summary)
    yield layout
    shutil.rmtree(root)


def _write(layout: RunLayout, server: str, rows: list[dict[str, Any]], images: pa.Schema, errors: pa.Schema) -> None:
    folder = layout.batch_folder(server, 0)
    folder.mkdir(parents=True)
    write_parquet(folder / SUCCESSES, images, [pa.RecordBatch.from_pylist(rows, schema=images)] if rows else [])
    write_parquet(folder / ERRORS, errors, [pa.RecordBatch.from_pylist([{"uuid": "e"}], schema=errors)])
    write_marker(folder, json.dumps({"files": {name: sha256_of(folder / name) for name in (SUCCESSES, ERRORS)}}))


def _files(run: RunLayout) -> list[str]:
    return sorted(map(str, run.images.glob("*/*/successes.parquet")))


def _is_picture(data: bytes) -> bool:
    return Image.open(io.BytesIO(data)).format == "JPEG"


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Any:
    os.environ.update(HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path_factory.mktemp("hf")))
    return pytest.importorskip("datasets")


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_shows_the_pictures_of_a_run(run: RunLayout, datasets: Any, *, streaming: bool) -> None:
    rows = list(datasets.load_dataset(str(run.images), split="train", streaming=streaming))
    assert len(rows) == IMAGES
    assert all(isinstance(one["image"], Image.Image) for one in rows)
    assert {one["license"] for one in rows} == {"CC0", None}
    assert {one["server_name"] for one in rows} == {None, "s7.example", "s8.example", "s9.example"}


def test_datasets_reads_a_run_again_that_has_other_pictures_now(run: RunLayout, datasets: Any, tmp_path: Path) -> None:
    settings = Settings.from_config({"path_to_input": "", "path_to_output": tmp_path})
    other = RunLayout.of(settings)
    shutil.copytree(run.root, other.root, dirs_exist_ok=True)
    counts = {"rows": {"input": 11, "rejected": 0, "successes": IMAGES, "errors": 1}, "servers": {}}
    identifiers = []
    for name in ("u1", "u2"):
        shutil.rmtree(other.batch_folder("b.example", 0))
        _write(other, "b.example", [row(name, received(30))], success_schema(["species"]), ERROR_SCHEMA)
        write_data_card(other, settings, counts)
        identifiers.append(datasets.load_dataset(str(other.images), split="train")["uuid"])
    assert len(datasets.load_dataset(str(run.images), split="train")) == IMAGES
    assert ["u1" in identifiers[0], "u2" in identifiers[0]] == [True, False]
    assert ["u1" in identifiers[1], "u2" in identifiers[1]] == [False, True]


@pytest.mark.parametrize("form", ["webdataset", "parquet", "imagefolder"])
def test_datasets_reads_each_export(run: RunLayout, datasets: Any, form: str) -> None:
    folder = _export(run, form)
    rows = list(datasets.load_dataset(str(folder), split="train"))
    assert len(rows) == IMAGES
    pictures = [one.get("image") or one.get("jpg") for one in rows]
    assert all(isinstance(picture, Image.Image) for picture in pictures)
    labels = [one["label"] if "label" in one else one["json"]["label"] for one in rows]
    assert sorted(label or "" for label in labels) == [""] * 3 + ["Aus"] * 7


def test_datasets_reads_tars_without_their_card(run: RunLayout, datasets: Any) -> None:
    files = str(_export(run, "webdataset") / "shards" / "*.tar")
    assert len(datasets.load_dataset("webdataset", data_files=files, split="train")) == IMAGES


def test_webdataset_reads_its_export(run: RunLayout) -> None:
    webdataset = pytest.importorskip("webdataset")
    shards = sorted(map(str, (_export(run, "webdataset") / "shards").glob("*.tar")))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False))
    assert len(samples) == IMAGES
    assert all(_is_picture(one["jpg"]) for one in samples)
    assert {json.loads(one["json"])["label"] for one in samples} == {"Aus", ""}


def test_lance_reads_its_export_and_one_that_is_cut_otherwise_replaces_it(run: RunLayout) -> None:
    lance = pytest.importorskip("lance")
    folder = _export(run, "lance")
    exported = lance.dataset(str(folder / "images.lance"))
    table = exported.to_table()
    assert table.num_rows == IMAGES
    assert len(exported.get_fragments()) == 3
    assert all(_is_picture(picture) for picture in table.column("image").to_pylist())
    assert sorted(label or "" for label in table.column("label").to_pylist()) == [""] * 3 + ["Aus"] * 7
    assert exported.count_rows("license = 'CC0'") == 4
    _export(run, "lance", shard_rows=100)
    exported = lance.dataset(str(folder / "images.lance"))
    assert (exported.count_rows(), len(exported.get_fragments())) == (IMAGES, 1)
    assert len(list((folder / "images.lance" / "data").iterdir())) == 1, "the data of the earlier export is gone"
    shutil.rmtree(folder / "images.lance")
    _export(run, "lance", shard_rows=100)
    assert lance.dataset(str(folder / "images.lance")).count_rows() == IMAGES


def _export(run: RunLayout, form: str, shard_rows: int = 4) -> Path:
    values = {
        "path_to_input": "",
        "path_to_output": run.root,
        "tools_parameters": {"export_format": form, "shard_rows": shard_rows},
        "export": {"label": "species", "shuffle": 1},
    }
    run_here(TOOLS.get("export")(ToolContext("export", Settings.from_config(values))))
    return run.tools / "export" / form


def test_duckdb(run: RunLayout) -> None:
    duckdb = pytest.importorskip("duckdb")
    query = f"SELECT server_name, count(*) FROM read_parquet('{run.images}/*/*/successes.parquet', union_by_name=true)"
    assert sorted(duckdb.sql(f"{query} GROUP BY ALL").fetchall()) == [("a.example", 4), ("b.example", 3), ("pooled", 3)]


def test_pandas_and_pyarrow(run: RunLayout) -> None:
    assert len(pd.read_parquet(_files(run))) == IMAGES
    assert dataset(_files(run)).to_table().num_rows == IMAGES
    assert all(_is_picture(picture.as_py()) for picture in dataset(_files(run)).to_table()["image"])


def test_polars(run: RunLayout) -> None:
    polars = pytest.importorskip("polars")
    pattern = str(run.images / "*" / "*" / "successes.parquet")
    frame = polars.scan_parquet(pattern, extra_columns="ignore", missing_columns="insert").collect()
    assert frame.height == IMAGES
    assert _is_picture(frame["image"][0])


def test_daft(run: RunLayout) -> None:
    daft = pytest.importorskip("daft")
    rows = daft.read_parquet([name for name in _files(run) if "c.example" not in name]).to_pydict()
    assert len(rows["uuid"]) == IMAGES
    assert all(map(_is_picture, rows["image"]))


def test_spark(run: RunLayout) -> None:
    sql = pytest.importorskip("pyspark.sql")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    spark = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        frame = spark.read.option("mergeSchema", "true").parquet(*_files(run))
        assert frame.count() == IMAGES
        assert all(_is_picture(bytes(one.image)) for one in frame.select("image").collect())
    finally:
        spark.stop()


@pytest.mark.ray
@pytest.mark.thorough
def test_ray_data(run: RunLayout) -> None:
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    is_ours = not ray.is_initialized()  # another test of this process may have one
    if is_ours:
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        rows = ray.data.read_parquet(_files(run), partitioning=None).take_all()
        assert len(rows) == IMAGES
        assert all(_is_picture(one["image"]) for one in rows)
    finally:
        if is_ours:
            ray.shutdown()
