"""Who asks public servers names a contact; a YAML file of the legacy project, which cannot, is warned."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from ray_downloader.config.contact import ContactCheck, contact_rule, recommend_contact, require_contact
from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.pipeline import run
from ray_downloader.run_folder.layout import RunLayout
from tests.unit.config.test_legacy_yaml import README, TEMPLATE


def run_over(folder: Path, *servers: str, **groups: Any) -> tuple[Settings, RunLayout]:
    settings = Settings.from_config({"path_to_input": "list.txt", "path_to_output": folder, **groups})
    layout = RunLayout.of(settings)
    layout.urls.mkdir()
    pq.write_table(pa.table({"server_name": list(servers)}), layout.servers_table)
    return settings, layout


def test_a_run_over_public_servers_is_refused_without_a_contact(tmp_path: Path) -> None:
    settings, layout = run_over(tmp_path, "a.example", "photos.museum.org")
    with pytest.raises(UserError, match=r"\(photos.museum.org, ...\).*politeness.contact=you@example.org"):
        ContactCheck(settings, require_contact).run_folder(layout)


def test_the_yaml_of_the_legacy_project_is_warned_and_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings, layout = run_over(tmp_path, "photos.museum.org")
    with caplog.at_level(logging.WARNING):
        ContactCheck(settings, contact_rule(yaml.safe_load(README))).run_folder(layout)
    (record,) = caplog.records
    assert "(photos.museum.org, ...) as 'ray_downloader/" in record.getMessage()
    assert "`politeness: {contact: you@example.org}`" in record.getMessage()


def test_the_beginning_of_a_list_is_checked_before_its_partition(tmp_path: Path) -> None:
    path = tmp_path / "urls.txt"
    path.write_text("not a url\nhttp://a.example/1.jpg\nhttps://photos.museum.org/2.jpg\n")
    settings = Settings.from_config({"path_to_input": str(path), "path_to_output": tmp_path / "out"})
    with pytest.raises(UserError, match=r"\(photos.museum.org, ...\).*politeness.contact"):
        run(settings)
    assert not RunLayout.of(settings).rejected_table.exists()


def test_a_rule_that_only_warns_does_so_once(tmp_path: Path) -> None:
    settings, layout = run_over(tmp_path, "photos.museum.org")
    met: list[str] = []
    check = ContactCheck(settings, met.append)
    check.first_urls(lambda: ["?", "http://a.museum.org/1.jpg"])
    check.run_folder(layout)
    assert met == ["a.museum.org"]


@pytest.mark.parametrize(
    ("servers", "groups"),
    [
        (["photos.museum.org"], {"politeness": {"contact": "me@museum.org"}}),
        (["photos.museum.org"], {"stages": ["partition"]}),
        (["photos.museum.org"], {"mode": "plan"}),
        (["photos.museum.org"], {"network": {"connect_to": {"*:80": "127.0.0.1:8080"}}}),
        (["10.0.0.7", "a.example"], {}),
    ],
)
def test_nothing_is_said_where_a_contact_is_named_or_nobody_else_is_asked(
    tmp_path: Path, servers: list[str], groups: dict[str, Any]
) -> None:
    settings, layout = run_over(tmp_path, *servers, **groups)
    ContactCheck(settings, require_contact).run_folder(layout)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (README, recommend_contact),
        (TEMPLATE, recommend_contact),
        (README + "politeness: {max_connections: 2}\n", require_contact),
        (README + "dataset: gbif\n", require_contact),
        ("path_to_input: a\npath_to_output: b\n", require_contact),
    ],
)
def test_only_a_file_that_is_wholly_the_legacy_projects_is_excepted(text: str, rule: object) -> None:
    assert contact_rule(yaml.safe_load(text)) is rule
