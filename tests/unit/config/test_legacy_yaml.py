"""The legacy project's YAML is read as it stands; what means nothing here is named once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ray_downloader.config.compose import settings_from_file
from ray_downloader.config.legacy_yaml import translate
from ray_downloader.errors import UserError
from ray_downloader.politeness.policy import PolicyBook

#: The keys of the README of Imageomics/distributed-downloader 0.x, with its values.
README = """
path_to_input: "/data/urls.csv"
path_to_output: "/data/out"
output_structure:
  urls_folder: "urls"
  logs_folder: "logs"
  images_folder: "images"
  schedules_folder: "schedules"
  profiles_table: "profiles.csv"
  ignored_table: "ignored.csv"
  inner_checkpoint_file: "checkpoint.json"
  tools_folder: "tools"
downloader_parameters:
  num_downloads: 1
  max_nodes: 20
  workers_per_node: 20
  cpu_per_worker: 1
  header: true
  image_size: 224
  logger_level: "INFO"
  batch_size: 10000
  rate_multiplier: 0.5
  default_rate_limit: 3
tools_parameters:
  num_workers: 1
  max_nodes: 10
  workers_per_node: 20
  cpu_per_worker: 1
  threshold_size: 10000
  new_resize_size: 224
"""

#: Keys of its template config/example_config.yaml, in which 0 and "" stand for what is to be filled in.
TEMPLATE = """
account: "PAS1234"
path_to_input: "list.txt"
path_to_output_folder: "out"
initializer_type: "gbif"
scripts:
  general_submitter: "submit.sh"
schedule_rules:
  1: 1
  5000: 4
output_structure:
  urls_folder: "servers_batched"
  images_folder: "downloaded_images"
suppress_unchanged_error: False
downloader_parameters:
  num_downloads: 0
  max_nodes: 0
  header: ""
  image_size: 0
  rate_multiplier: 0
tools_parameters:
  num_workers: 0
  new_resize_size: 720
"""


def _file(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, "utf-8")
    return path


def test_the_yaml_of_its_readme_is_read_unchanged(tmp_path: Path) -> None:
    settings = settings_from_file(_file(tmp_path, README))
    assert (settings.path_to_input, str(settings.path_to_output)) == ("/data/urls.csv", "/data/out")
    assert settings.dataset.name == "generic"
    assert settings.downloader_parameters.header is True
    assert (settings.downloader_parameters.max_nodes, settings.tools_parameters.threshold_size) == (20, 10000)


def test_its_template_is_read_and_gaps_take_our_defaults(tmp_path: Path) -> None:
    settings = settings_from_file(_file(tmp_path, TEMPLATE))
    assert str(settings.path_to_output) == "out"
    assert settings.dataset.name == "gbif"
    assert settings.dataset.drop_basis_of_record == ("MATERIAL_CITATION",), "the dataset's own defaults are there"
    assert settings.account == "PAS1234"
    assert settings.output_structure.urls_folder == "servers_batched"
    assert (settings.downloader_parameters.image_size, settings.downloader_parameters.num_downloads) == (224, 1)
    assert settings.downloader_parameters.rate_multiplier == 0
    assert settings.tools_parameters.new_resize_size == 720


@pytest.mark.parametrize(
    ("rates", "ceiling_rps"),
    [
        ("default_rate_limit: 3\n  rate_multiplier: 0.5", 4.5),
        ("default_rate_limit: 10\n  rate_multiplier: 0", 10.0),
        ("default_rate_limit: 2", 3.0),
        ("rate_multiplier: 1", 6.0),
        ("default_rate_limit: 0\n  rate_multiplier: 0", 3.0),
        ("max_nodes: 2", 4.5),
    ],
)
def test_no_server_is_asked_beyond_what_the_file_means_also_not_a_profiled_one(
    tmp_path: Path, rates: str, ceiling_rps: float
) -> None:
    text = f"path_to_input: a\npath_to_output: b\noutput_structure: {{}}\ndownloader_parameters:\n  {rates}\n"
    settings = settings_from_file(_file(tmp_path, text))
    profiled = {"fast.example": 30.0, "slow.example": 1.0}
    policies = PolicyBook(settings.politeness, settings.downloader_parameters, profiled)
    for server in ("fast.example", "slow.example", "other.example"):
        assert policies.policy(server).ceiling_rps == pytest.approx(ceiling_rps)


def test_a_file_of_ours_may_rise_above_what_a_profile_found(tmp_path: Path) -> None:
    text = "path_to_input: a\npath_to_output: b\npoliteness: {contact: me@example.org}\n"
    settings = settings_from_file(_file(tmp_path, text))
    policies = PolicyBook(settings.politeness, settings.downloader_parameters, {"fast.example": 30.0})
    assert policies.policy("fast.example").ceiling_rps == pytest.approx(45.0)


def test_what_is_not_needed_is_named() -> None:
    said: list[str] = []
    values = translate({"scripts": {"a": "b"}, "schedule_rules": {1: 1}, "path_to_output": "out"}, said.append)
    assert values == {"path_to_output": "out"}
    assert [sentence.split()[0] for sentence in said] == ["scripts", "schedule_rules"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"initializer_type": "inat"}, "initializer_type='inat' is unknown; choose one of: gbif, eol"),
        ({"initializer_type": "gbif", "dataset": "gbif"}, "the same key"),
        ({"path_to_output": "a", "path_to_output_folder": "b"}, "the same key"),
    ],
)
def test_contradictions_get_a_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        translate(given, lambda _: None)


def test_the_catalogs_keys_become_the_datasets() -> None:
    given = {"initializer_type": "tol200m_general", "included_sources": ["gbif"], "excluded_servers_path": "x.csv"}
    assert translate(given, lambda _: None) == {
        "dataset": {"name": "tol200m", "data_sources": ["gbif"], "excluded_servers": "x.csv"}
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path_to_input: a\npath_to_output: b\ndataset: gbf\n", "gbif"),
        ("path_to_input: a\npath_to_output: b\nimage_size: 3\n", "image_size is not a known key"),
        ("path_to_input: a\n", "path_to_output"),
        ("- a\n", "has no keys"),
    ],
)
def test_mistakes_get_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        settings_from_file(_file(tmp_path, text))
