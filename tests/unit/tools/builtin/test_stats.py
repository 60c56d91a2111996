"""`stats`: what is counted, for our files and older ones, and how it is shown."""

from __future__ import annotations

import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ray_downloader.tools.builtin import stats
from tests.support.stored import LEGACY_SCHEMA, StoredRun, received, row, run_here


def test_stats_count_by_server_format_size_and_licence(run: StoredRun) -> None:
    run.add([row("p", received(5))], "pooled", schema=LEGACY_SCHEMA)
    run_here(run.tool("stats"))
    counted = json.loads((run.layout.tools / "stats" / "stats.json").read_text())
    assert (counted["images"], counted["distinct_images"], counted["with_full_license"]) == (6, 4, 1)
    assert counted["by_server"] == {"a.example": 4, "b.example:8080": 2}, "of `pooled` the URL tells the server"
    assert counted["by_longer_side"] == {"16": 1, "64": 5}
    assert counted["by_license"] == {"(none)": 5, "CC BY 4.0": 1}
    assert counted["by_stored_format"] == {"jpeg": 5, "None": 1}
    assert "| b.example:8080 | 2 |" in (run.layout.tools / "stats" / "stats.md").read_text()


def test_older_files_without_formats_are_counted_too(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    run.add([row("a", received(1), encode="raw")], schema=LEGACY_SCHEMA)
    assert run_here(run.tool("stats"))["images"] == 1


def written(run: StoredRun) -> tuple[dict[str, Any], str]:
    folder = run.layout.tools / "stats"
    return json.loads((folder / "stats.json").read_text("utf-8")), (folder / "stats.md").read_text("utf-8")


@pytest.fixture
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "find_spec", lambda _name: None)


@pytest.mark.usefixtures("without_plots")
def test_totals_are_said_and_kept(run: StoredRun) -> None:
    summary = run_here(run.tool("stats"))
    totals = {"images": 5, "distinct_images": 3, "servers": 2, "with_full_license": 1, "mean_megapixels": 0.009}
    assert summary == {**totals, "plots": "none, as matplotlib is not installed: pip install 'ray-downloader[plots]'"}
    document, text = written(run)
    assert (run.layout.tools / "stats" / "stats.json").read_text("utf-8").startswith('{\n  "images": 5,\n')
    assert {key: document[key] for key in totals} == totals
    assert text.startswith("# Images\n\n- images: 5\n- distinct images: 3\n- servers: 2\n")
    assert "## By server\n\n| | images |\n|---|---:|\n| a.example | 3 |\n| b.example:8080 | 2 |\n" in text


@pytest.mark.usefixtures("without_plots")
def test_the_most_come_first_and_sides_by_their_size(tmp_path: Path) -> None:
    run = StoredRun(tmp_path / "out")
    one = row("x", received(1))
    sides = [[511, 1], [512, 3], [256, 255], [1, 1]]
    run.add([{**one, "uuid": str(n), "original_size": size} for n, size in enumerate(sides)], "b.example")
    run.add([{**one, "license": "A|B"}], "a.example")
    run.add([{**one, "license": "A|B"}], "c.example")
    run_here(run.tool("stats"))
    document, text = written(run)
    assert list(document["by_longer_side"].items()) == [("1", 1), ("64", 2), ("256", 2), ("512", 1)]
    assert list(document["by_server"].items()) == [("b.example", 4), ("a.example", 1), ("c.example", 1)]
    assert "| A&#124;B | 2 |" in text


@pytest.mark.usefixtures("without_plots")
@pytest.mark.parametrize(("servers", "has_rest"), [(25, False), (27, True)])
def test_the_text_shows_25_of_each_and_says_how_many_more_there_are(
    tmp_path: Path, servers: int, has_rest: bool
) -> None:
    run = StoredRun(tmp_path / "out")
    one = row("x", received(1))
    for number in range(servers):
        run.add([one] * (1 + (number == 0)), f"{number:02d}.example")
    run_here(run.tool("stats"))
    document, text = written(run)
    assert len(document["by_server"]) == servers
    assert text.count(".example |") == 25
    assert ("| (2 more, see stats.json) | 2 |" in text) == has_rest
    assert ("more, see" in text) == has_rest


class Figure:
    """A figure as far as it is drawn on."""

    drawn: list[Figure] = []  # noqa: RUF012 (emptied by each test)

    def __init__(self, figsize: tuple[float, float], layout: str) -> None:
        self.size, self.layout = figsize, layout
        Figure.drawn.append(self)

    def add_subplot(self) -> Figure:
        return self

    def barh(self, names: list[str], counts: list[int]) -> None:
        self.names, self.counts, self.is_turned = names, counts, False

    def invert_yaxis(self) -> None:
        self.is_turned = True

    def set(self, title: str, xlabel: str) -> None:
        self.title, self.xlabel = title, xlabel

    def savefig(self, path: Path, format: str, dpi: int) -> None:
        path.write_text(f"{format} {dpi}")


def test_each_table_is_drawn_with_the_most_on_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Figure.drawn.clear()
    for name in ("matplotlib", "matplotlib.figure"):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        module.__dict__["Figure"] = Figure
        monkeypatch.setitem(sys.modules, name, module)
    run = StoredRun(tmp_path / "out")
    one = row("x", received(1))
    for number in range(26):
        run.add([{**one, "license": "L" * 61}] * (1 + (number == 3)), f"{number:02d}.example")
    summary = run_here(run.tool("stats"))
    assert summary["plots"] == (
        "by_server.png, by_original_format.png, by_stored_format.png, by_license.png, by_longer_side.png"
    )
    folder = run.layout.tools / "stats"
    assert {path.read_text() for path in folder.glob("*.png")} == {"png 120"}
    assert len(list(folder.glob("*.png"))) == 5
    servers, licences = Figure.drawn[0], Figure.drawn[3]
    assert (servers.title, servers.xlabel, servers.is_turned, len(servers.names)) == ("by server", "images", True, 25)
    assert (servers.names[0], servers.counts[0]) == ("03.example", 2)
    assert servers.size == (8, pytest.approx(8.2)), "a line for each bar"
    assert servers.layout == "constrained"
    assert licences.names == ["L" * 60]
