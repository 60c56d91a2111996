"""The documents are true: pages made from code are current, commands are accepted, snippets run."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from ray_downloader import __version__
from ray_downloader.config.arguments import check_arguments
from ray_downloader.config.compose import compose_over, group_choices, settings_from_file, settings_from_hydra
from ray_downloader.config.plain_values import as_hydra_reads
from tests.support.documents import ROOT, Block, blocks
from tests.support.reported import Listed, reported_run

pytestmark = pytest.mark.stage

BLOCKS = list(blocks())
_MODULES = {"status", "report", "control", "profile", "slurm", "tools"}


def _named(block: Block) -> str:
    return f"{block.page.stem}-{BLOCKS.index(block)}"


def _shell(block: Block) -> bool:
    return block.language in {"", "bash", "shell", "sh"} and not block.mark.startswith("not run")


@pytest.fixture(scope="module")
def generate() -> object:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_made_from_the_code_are_current(generate: object) -> None:
    for path, text in generate.pages().items():  # type: ignore[attr-defined]
        assert path.read_text("utf-8") == text, f"run: python docs/generate.py ({path.name})"


@pytest.mark.parametrize("block", [block for block in BLOCKS if _shell(block)], ids=_named)
def test_commands_are_accepted(block: Block) -> None:
    for line in block.lines:
        words = shlex.split(line)
        if words[:2] == ["python", "-m"] and words[2].partition(".")[0] in {"ray_downloader"}:
            _check(words[2].partition(".")[2], words[3:])
        elif words[0] == "ray-downloader":
            _check(words[1], words[2:]) if words[1] in _MODULES else _check("", words[1:])
        elif words[0] == "sbatch" and any(word.endswith("ray_downloader.sbatch") for word in words):
            given = words[next(n for n, word in enumerate(words) if word.endswith(".sbatch")) + 1 :]
            _check("tools", given[1:]) if given[:1] == ["tools"] else _check("", given)


def _check(module: str, arguments: Sequence[str]) -> None:
    if module in {"", "tools"}:
        given = [_filled(argument) for argument in arguments if not argument.startswith("--")]
        plain = ["mode=plan" if argument == "plan" else argument for argument in given if argument != "..."]
        overrides = [argument for argument in plain if not argument.startswith("tool=")]
        check_arguments(plain if not module else overrides, group_choices())
        required = {"path_to_input": "list.txt", "path_to_output": "out"}
        settings_from_hydra(compose_over(required, as_hydra_reads(overrides)))
    else:
        import_module(f"ray_downloader.{module}")


def _filled(argument: str) -> str:
    """A value that is left to the reader."""
    return "politeness.contact=you@example.org" if argument.endswith("contact=...") else argument


def test_every_python_snippet_is_run_or_says_why_not() -> None:
    unmarked = [_named(block) for block in BLOCKS if block.language == "python" and not _is_settled(block)]
    assert unmarked == []


def _is_settled(block: Block) -> bool:
    return block.mark.startswith(("run: ", "run with ", "not run: ", "config"))


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.mark.startswith("run: ")], ids=_named)
def test_snippets_run(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Listed(f"http://a.example/{n}.jpg", listed={"source_id": str(n)}) for n in range(3)]
    reported_run(tmp_path, [*rows, Listed("http://a.example/x.jpg", "dns", listed={"source_id": "9"})])
    names = ["Rosa canina", 'Quercus "robur"', "Rosa canina"]
    lines = ["gbifID\tscientificName", *(f"{n}\t{name}" for n, name in enumerate(names))]
    (tmp_path / "occurrence.txt").write_text("\n".join(lines) + "\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    exec(compile(block.text, str(block.page), "exec"), {"__name__": "snippet"})  # our own text


def test_the_example_counts_species(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("species", ROOT / "examples" / "species.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    layout = reported_run(tmp_path, [Listed("http://a.example/1.jpg", listed={"source_id": "7"})])
    (tmp_path / "occurrence.txt").write_text("gbifID\tscientificName\n7\tRosa canina\n", "utf-8")
    assert module.species(str(layout.root), str(tmp_path / "occurrence.txt")) == [("Rosa canina", 1)]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_examples_are_valid(path: Path) -> None:
    documents = list(yaml.safe_load_all(path.read_text("utf-8")))
    if path.stem == "kubernetes":
        arguments = documents[1]["spec"]["template"]["spec"]["containers"][0]["args"]
        _check("", arguments)
    else:
        assert settings_from_file(path).politeness.contact


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.mark == "config"], ids=_named)
def test_configurations_are_valid(block: Block, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(block.text, "utf-8")
    settings_from_file(tmp_path / "config.yaml")


def test_versions_agree() -> None:
    (version,) = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {version, citation["version"]} == {__version__}


@pytest.mark.parametrize("path", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem)
def test_issue_templates_are_forms(path: Path) -> None:
    form = yaml.safe_load(path.read_text("utf-8"))
    assert path.stem == "config" or {"name", "description", "body"} <= form.keys()
