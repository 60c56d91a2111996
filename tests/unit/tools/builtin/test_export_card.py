"""The card of an export: what is counted, how much of it is shown, and where readers find the data."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ray_downloader.config.settings import Settings
from ray_downloader.image.stored import StoredImage
from ray_downloader.tools.builtin import export_card
from ray_downloader.tools.builtin.export_card import write_card
from ray_downloader.tools.context import ToolContext
from ray_downloader.tools.queries import images_database
from tests.support.stored import StoredRun, received, row


def _card(run: StoredRun, form: str = "webdataset", label: str | None = None) -> str:
    values: dict[str, Any] = {
        "path_to_input": "",
        "path_to_output": run.root,
        "tools_parameters": {"export_format": form},
        "export": {"label": label},
    }
    context = ToolContext("export", Settings.from_config(values))
    folder = run.root / "card"
    folder.mkdir(exist_ok=True)
    with images_database(run.root, context.batches) as connection:
        write_card(context, folder, connection, {"images": 1234, "not_readable": 2}, "v1")
    return (folder / "README.md").read_text("utf-8")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures each contact sheet was given."""
    numbers: list[int] = []

    def noted(pictures: Iterable[StoredImage]) -> bytes:
        numbers.append(len(list(pictures)))
        return b"sheet"

    monkeypatch.setattr(export_card, "contact_sheet", noted)
    return numbers


@pytest.mark.parametrize(
    ("form", "files"),
    [
        ("webdataset", "shards/*.tar"), ("parquet", "data/*.parquet"), ("imagefolder", "train/**"),
        ("lance", "images.lance/data/*"),
    ],
)  # fmt: skip
def test_readers_find_the_data_of_each_form(run: StoredRun, shown: list[int], form: str, files: str) -> None:
    head = yaml.safe_load(_card(run, form).split("---\n")[1])
    assert [one["data_files"] for one in head["configs"]] == [files]
    assert head["tags"] == ["image", "ray_downloader"]
    assert list(head) == ["configs", "tags"]
    assert shown == [5]


def test_what_was_counted_is_listed_above_the_licences(run: StoredRun, shown: list[int]) -> None:
    lines = _card(run).partition("# Images\n\n")[2].splitlines()
    assert lines == [
        "- images: 1,234",
        "- not readable: 2",
        "",
        "![some of the images](contact_sheet.jpg)",
        "",
        "| licence | images |",
        "|---|---:|",
        "| (none) | 4 |",
        "| CC BY 4.0 | 1 |",
        "",
    ]
    assert (run.root / "card" / "contact_sheet.jpg").read_bytes() == b"sheet"
    assert shown == [5]


@pytest.mark.parametrize(("more", "rest"), [(0, []), (3, ["| 3 more | 3 |"])])
def test_the_fifty_licences_of_most_images_and_48_images_are_shown(
    tmp_path: Path, shown: list[int], more: int, rest: list[str]
) -> None:
    run, one = StoredRun(tmp_path / "out"), row("x", received(1))
    licences = [f"L{number:02d}" for number in range(50 + more)]
    run.add([{**one, "license": name} for name in (*licences, "L00")])
    lines = _card(run).partition("|---|---:|\n")[2].splitlines()
    assert lines[:2] == ["| L00 | 2 |", "| L01 | 1 |"]
    assert lines[49] == "| L49 | 1 |"
    assert lines[50:] == [*rest, ""]
    assert shown == [48]


@pytest.mark.parametrize(("more", "rest"), [(0, []), (2, ["| 2 more | 2 |"])])
def test_a_hundred_labels_are_shown(tmp_path: Path, shown: list[int], more: int, rest: list[str]) -> None:
    run, one = StoredRun(tmp_path / "out"), row("x", received(1))
    run.add([{**one, "title": f"a|b\n{number:03d}"} for number in range(100 + more)])
    lines = _card(run, label="title").partition("| label (title) | images |\n|---|---:|\n")[2].splitlines()
    assert lines[0] == "| a&#124;b 000 | 1 |"
    assert lines[99:] == ["| a&#124;b 099 | 1 |", *rest, ""]


def test_what_the_list_says_is_text_in_the_card(tmp_path: Path, shown: list[int]) -> None:
    run, one = StoredRun(tmp_path / "out"), row("x", received(1))
    run.add([{**one, "license": "<script>alert(1)</script>\r\n| A & B | 7 |\u2028# C"}])
    line = _card(run).partition("|---|---:|\n")[2].splitlines()[0]
    assert line == "| &lt;script&gt;alert(1)&lt;/script&gt; &#124; A &amp; B &#124; 7 &#124; # C | 1 |"
