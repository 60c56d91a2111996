"""The card of a run: its header is what `datasets` reads, its text what people read."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from ray_downloader.config.settings import Settings
from ray_downloader.output.data_card import CARD, begin_data_card, data_card, version_of, write_data_card
from ray_downloader.partition import partition
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.markers import write_marker
from ray_downloader.run_folder.schemas import SUCCESS_SCHEMA, success_schema

SUMMARY = {
    "rows": {"input": 12_000, "rejected": 1, "successes": 11_998, "errors": 1},
    "servers": {f"s{number}.example": {"successes": 500, "errors": 0} for number in range(24)},
}


def _head(card: str) -> dict[str, object]:
    _, head, text = card.split("---\n", 2)
    assert text.startswith("\n# Images")
    loaded = yaml.safe_load(head)
    assert isinstance(loaded, dict)
    return loaded


def test_the_header_names_the_files_with_images_and_every_column() -> None:
    head = _head(data_card(success_schema(["species"]), "jpeg", SUMMARY, "v1"))
    assert head["configs"] == [
        {"config_name": "default", "data_files": "*/*/successes.parquet", "description": "version v1"}
    ]
    features = head["dataset_info"]["features"]  # type: ignore[index] # YAML has no types
    kinds = {one["name"]: one.get("dtype") or one["sequence"] for one in features}
    assert list(kinds) == [*SUCCESS_SCHEMA.names, "species", "server_name"]
    assert (kinds["image"], kinds["license"], kinds["original_size"]) == ("image", "string", "uint32")
    assert kinds["fetched_at"] == "timestamp[ms, tz=UTC]"


def test_a_version_is_sixteen_digits() -> None:
    assert re.fullmatch(r"[0-9a-f]{16}", version_of([]))


def test_columns_are_named_as_people_write_them() -> None:
    assert "- name: größe\n" in data_card(success_schema(["größe"]), "jpeg", SUMMARY, "v1")


def test_raw_pixels_are_no_images_to_readers() -> None:
    features = _head(data_card(SUCCESS_SCHEMA, "raw", SUMMARY, "v1"))["dataset_info"]["features"]  # type: ignore[index] # YAML
    assert {"name": "image", "dtype": "binary"} in features


def test_the_text_counts_rows_and_the_biggest_servers() -> None:
    text = data_card(SUCCESS_SCHEMA, "jpeg", SUMMARY, "v1")
    assert "11,998 images of 12,000 rows" in text
    assert "| s0.example | 500 | 0 |" in text
    assert "| 4 more | | |" in text


def test_the_card_of_a_run_without_images_says_that_datasets_cannot_load_it() -> None:
    """`datasets` 5.2 has no empty splits, whatever files there are."""
    rows = {**SUMMARY["rows"], "successes": 0}
    assert "cannot read a folder without any image" in data_card(
        SUCCESS_SCHEMA, "jpeg", {**SUMMARY, "rows": rows}, "v1"
    )
    assert "cannot read" not in data_card(SUCCESS_SCHEMA, "jpeg", SUMMARY, "v1")


def test_a_run_without_images_has_no_card(tmp_path: Path) -> None:
    settings = Settings.from_config({"path_to_input": "x", "path_to_output": str(tmp_path)})
    layout = RunLayout.of(settings)
    write_data_card(layout, settings, SUMMARY)
    assert not (layout.images / CARD).exists()
    layout.images.mkdir()
    write_data_card(layout, settings, SUMMARY)
    assert (layout.images / CARD).read_text("utf-8") == data_card(SUCCESS_SCHEMA, "jpeg", SUMMARY, version_of([]))


def test_the_card_of_a_run_has_the_columns_that_it_keeps_and_adds(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("url,species\nhttp://a.example/1.jpg,erato\n")
    settings = Settings.from_config(
        {
            "path_to_input": str(tmp_path / "list.csv"),
            "path_to_output": str(tmp_path / "out"),
            "dataset": {"keep": ["species"]},
            "image": {"extra_columns": ["sha256"]},
        }
    )
    layout = RunLayout.of(settings)
    partition(settings, layout, lambda _: None)
    layout.images.mkdir()
    write_data_card(layout, settings, SUMMARY)
    card = (layout.images / CARD).read_text("utf-8")
    assert card == data_card(success_schema(["species"], ["sha256"]), "jpeg", SUMMARY, version_of([]))


def test_the_header_changes_with_the_pictures_and_not_with_the_place(tmp_path: Path) -> None:
    def written(root: Path, markers: dict[str, str]) -> str:
        settings = Settings.from_config({"path_to_input": "x", "path_to_output": str(root)})
        layout = RunLayout.of(settings)
        for place, text in markers.items():
            folder = layout.images / place
            folder.mkdir(parents=True, exist_ok=True)
            write_marker(folder, text)
        write_data_card(layout, settings, SUMMARY)
        return (layout.images / CARD).read_text("utf-8")

    first = {"server_name=a.example/partition_id=0": "sums of a"}
    both = {**first, "server_name=pooled/partition_id=0": "sums of b"}
    card = written(tmp_path / "one", first)
    assert written(tmp_path / "two", first) == card
    assert written(tmp_path / "three", {"server_name=a.example/partition_id=0": "sums of c"}) != card
    assert written(tmp_path / "one", both) != card
    (folder,) = (tmp_path / "two" / "images").glob("*/*")
    assert f"version {version_of([folder], [0])}" in card, "a folder without a table has no bytes of one"


def test_what_base_adds_is_in_the_card(tmp_path: Path) -> None:
    settings = Settings.from_config({"path_to_input": "x", "path_to_output": str(tmp_path), "base": ["march"]})
    layout = RunLayout.of(settings)
    layout.images.mkdir()
    write_data_card(layout, settings, SUMMARY)
    assert "- name: reused\n" in (layout.images / CARD).read_text("utf-8")


def test_a_run_under_way_has_a_card_which_its_last_one_replaces(tmp_path: Path) -> None:
    settings = Settings.from_config({"path_to_input": "x", "path_to_output": str(tmp_path)})
    layout = RunLayout.of(settings)
    begin_data_card(layout, settings, 12, 1)
    first = (layout.images / CARD).read_text("utf-8")
    assert "0 images of 12 rows" in first
    assert _head(first)["configs"][0]["data_files"] == "*/*/successes.parquet"  # type: ignore[index] # YAML
    write_data_card(layout, settings, SUMMARY)
    begin_data_card(layout, settings, 12, 1)
    assert "11,998 images" in (layout.images / CARD).read_text("utf-8")
