"""The Croissant description of a run: what it says, and that MLCommons' own package finds it valid."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.output.croissant import _DESCRIPTIONS, CROISSANT, Facts, croissant, write_croissant
from ray_downloader.run_folder.schemas import SUCCESS_SCHEMA
from ray_downloader.run_folder.work_folder import WorkNote
from tests.support.stored import StoredRun, received, row

SUMMARY = {"rows": {"input": 5, "rejected": 1, "successes": 3, "errors": 1}}


@pytest.fixture
def described(tmp_path: Path) -> Path:
    run = StoredRun(tmp_path / "out")
    body, at = received(1), datetime(2026, 11, 2, tzinfo=timezone.utc)
    run.add([row("a", body, license="CC0", fetched_at=at), row("b", body, license="CC0", usage="tdm-reservation: 1")])
    run.add([row("c", body, license="CC BY 4.0")], "b.example")
    run.add([], "c.example")
    settings = Settings.from_config(
        {"path_to_input": "/lists/media.csv", "path_to_output": run.root, "politeness": {"contact": "me@a.example"}}
    )
    write_croissant(settings, run.layout, SUMMARY)
    return run.layout.images / CROISSANT


def test_it_states_fields_counts_licences_origin_and_uses(described: Path) -> None:
    document = json.loads(described.read_text("utf-8"))
    assert document["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert document["license"] == ["CC0", "CC BY 4.0"]
    assert document["datePublished"] == "2026-11-02"
    assert document["isBasedOn"] == "media.csv"
    assert document["creator"]["name"] == "me@a.example"
    assert document["usageInfo"] == ["tdm-reservation: 1 (1 images)"]
    assert "3 images of 5 rows" in document["description"]
    (records,) = document["recordSet"]
    types = {one["name"]: one["dataType"] for one in records["field"]}
    assert list(types) == SUCCESS_SCHEMA.names
    assert (types["image"], types["uuid"], types["original_size"]) == ("sc:ImageObject", "sc:Text", "sc:Integer")


@pytest.mark.filterwarnings("ignore")  # of the package, which is not ours
def test_the_package_of_mlcommons_finds_it_valid(described: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    issues = mlcroissant.Dataset(str(described)).metadata.ctx.issues
    assert (issues.errors, issues.warnings) == (set(), set())


def test_a_run_of_unknown_licence_in_the_working_folder_is_described_too() -> None:
    settings = Settings.from_config({"path_to_input": "list.txt", "path_to_output": "."})
    document = croissant(settings, SUCCESS_SCHEMA, SUMMARY, Facts(), None)
    assert (document["name"], document["url"]) == ("images", "images")
    assert (document["license"], document["datePublished"]) == (["unknown"], "1970-01-01")
    assert document["creator"]["name"] == "unknown"


def test_a_run_is_named_after_its_folder_and_columns_after_what_they_are(described: Path) -> None:
    text = described.read_text("utf-8")
    document = json.loads(text)
    assert document["name"] == "out"
    assert text == json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    fields = {one["name"]: one["description"] for one in document["recordSet"][0]["field"]}
    assert fields["original_format"] == "original format"
    assert all(fields[name] == words for name, words in _DESCRIPTIONS.items() if name in fields)


def test_a_run_in_a_store_is_described_by_its_url_and_one_with_base_has_its_column(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "a b")
    run.add([row("a", received(1))])
    values = {"path_to_input": "list.txt", "path_to_output": run.root, "base": ["march"]}
    write_croissant(Settings.from_config(values), run.layout, SUMMARY)
    here = json.loads((run.layout.images / CROISSANT).read_text("utf-8"))
    assert (here["name"], here["url"]) == ("a b", (tmp_path / "a b").as_uri())
    assert here["recordSet"][0]["field"][-1]["name"] == "reused"
    WorkNote(url="s3://bucket/lab/april", work="w1").save(run.root)
    write_croissant(Settings.from_config(values), run.layout, SUMMARY)
    there = json.loads((run.layout.images / CROISSANT).read_text("utf-8"))
    assert (there["name"], there["url"]) == ("april", "s3://bucket/lab/april")
    assert str(tmp_path) not in json.dumps(there)


def test_names_are_written_as_people_read_them(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "Zürich")
    run.add([row("a", received(1))])
    values = {"path_to_input": "list.txt", "path_to_output": run.root}
    write_croissant(Settings.from_config(values), run.layout, SUMMARY)
    assert '"name": "Zürich"' in (run.layout.images / CROISSANT).read_text("utf-8")
