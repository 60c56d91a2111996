"""What an earlier collection has is named, by hash or by URL."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from tests.support.stored import LEGACY_SCHEMA, StoredRun, received, row, rows_of, run_here


def named(run: StoredRun, **parameters: str) -> list[str]:
    run_here(run.tool("merge_base", **parameters))
    rows = rows_of(run.layout.tools / "merge_base" / "filter_table" / "rows.csv")
    return sorted(one["uuid"] for one in rows)


def test_a_run_of_the_legacy_project_is_a_base_by_hash(run: StoredRun, tmp_path: Path) -> None:
    base = StoredRun(tmp_path / "base")
    base.add([row("other", received(1), encode="raw")], schema=LEGACY_SCHEMA)
    assert named(run, base=str(base.root)) == ["a", "c", "d"]


def test_parquet_files_are_a_base_by_url(run: StoredRun, tmp_path: Path) -> None:
    pq.write_table(pa.table({"identifier": ["http://a.example/b.jpg"]}), tmp_path / "have.parquet")
    assert named(run, base=str(tmp_path / "*.parquet"), match="url") == ["b"]
    with pytest.raises(UserError, match="no column 'hashsum_original'"):
        named(run, base=str(tmp_path / "have.parquet"))


@pytest.mark.parametrize(("base", "sentence"), [("", "base is required"), ("/nowhere", "holds no images")])
def test_a_base_has_to_be_there(run: StoredRun, base: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        named(run, base=base)


def test_the_list_and_the_summary_say_what_the_base_has(run: StoredRun, tmp_path: Path) -> None:
    base = {"identifier": ["http://a.example/b.jpg"] * 2 + [None], "uuid": ["z", "y", "x"]}
    pq.write_table(pa.table(base), tmp_path / "have.parquet")
    summary = run_here(run.tool("merge_base", base=str(tmp_path / "have.parquet"), match="url"))
    assert summary == {"match": "url", "base_files": 1, "in_base_already": 1}
    (one,) = rows_of(run.layout.tools / "merge_base" / "filter_table" / "rows.csv")
    assert one == {
        "uuid": "b", "source_id": "id-b", "server_name": "a.example", "partition_id": "0", "row": "1",
        "uuid_base": "y", "identifier": "http://a.example/b.jpg",
    }  # fmt: skip


def test_a_base_without_uuids_is_one_too(run: StoredRun, tmp_path: Path) -> None:
    pq.write_table(pa.table({"hashsum_original": [run.images()["b"]["hashsum_original"]]}), tmp_path / "have.parquet")
    assert named(run, base=str(tmp_path / "have.parquet")) == ["b"]
    (one,) = rows_of(run.layout.tools / "merge_base" / "filter_table" / "rows.csv")
    assert one["uuid_base"] == ""


def test_the_folders_of_a_run_are_called_as_its_settings_say(run: StoredRun, tmp_path: Path) -> None:
    base = StoredRun(tmp_path / "base")
    base.add([row("other", received(2))])
    base.layout.images.rename(base.root / "pictures")
    pq.write_table(pa.table({"hashsum_original": ["x"]}), base.root / "another.parquet")
    values = {"path_to_input": "", "path_to_output": base.root, "output_structure": {"images_folder": "pictures"}}
    (base.root / "settings.json").write_text(Settings.from_config(values).to_json())
    assert run_here(run.tool("merge_base", base=str(base.root)))["base_files"] == 1
    assert named(run, base=str(base.root)) == ["b"]


@pytest.mark.parametrize("folder", ["images", "downloaded_images", "any/where"])
def test_without_settings_the_usual_folders_are_looked_at_and_then_all(
    run: StoredRun, tmp_path: Path, folder: str
) -> None:
    base = StoredRun(tmp_path / "base")
    base.add([row("other", received(2))])
    (base.root / folder).parent.mkdir(exist_ok=True)
    base.layout.images.rename(base.root / folder)
    assert named(run, base=str(base.root)) == ["b"]


def test_of_a_run_only_finished_batches_count(run: StoredRun, tmp_path: Path) -> None:
    base = StoredRun(tmp_path / "base")
    base.add([row("one", received(1))])
    base.add([row("two", received(2))], "b.example")
    (base.layout.batch_folder("a.example", 0) / "_completed").unlink()
    assert named(run, base=str(base.root)) == ["b"]


@pytest.mark.parametrize("content", [b"", b"text, not a table", b"PAR1" + bytes(9000)], ids=["empty", "text", "cut"])
def test_a_damaged_base_is_one_sentence(run: StoredRun, tmp_path: Path, content: bytes) -> None:
    base = tmp_path / "base.parquet"
    base.write_bytes(content)
    with pytest.raises(UserError, match=f"tools_parameters.base={base}: {base} is damaged at its end"):
        run_here(run.tool("merge_base", base=str(base), match="url"))
    base.unlink()
    base.mkdir()
    (base / "x.parquet").mkdir()
    with pytest.raises(UserError, match=r"tools_parameters\.base"):
        run_here(run.tool("merge_base", base=str(base), match="url"))
