"""The program's entry: our own version and help, subcommands, and mistakes without a traceback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ray_downloader import __main__, __version__

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["ray-downloader", *arguments])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    return ended.value.code


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--version"], f"ray_downloader {__version__}\n"),
        (["--help"], "Downloads every image of a list"),
        (["path_to_input=x", "-h"], "ray-downloader status OUT"),
        (["--help-all"], "  politeness.contact=null\n      Your e-mail address"),
        (["--shell-completion", "bash"], "complete -F _ray_downloader ray-downloader"),
        (["--shell-completion=fish"], "complete -c ray-downloader"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_only_prints_something(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert run(monkeypatch, *arguments) == 0
    assert text in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status", "nowhere"], "nowhere/settings.json does not exist"),
        (["control", "nowhere", "list"], "nowhere/settings.json does not exist"),
        (["tools", "path_to_output=x"], "tool is required"),
        (["tools", "resize", "out"], "resize is not written as key=value: the tool is named by tool=resize"),
        (["tools", "tool=resize,stats", "path_to_output=x"], "tool=resize,stats: one tool is expected, not several"),
        (["tools", "tool=resize", "--multirun"], "--multirun is not supported"),
        (["tools", "tool=resize", "path_to_output=x", "image=3"], "image=3 does not exist"),
        (["tools", "tool=resize", "path_to_output"], "path_to_output has no value"),
        (["status"], "the following arguments are required: out"),
        (["control", "x", "paus", "a"], "invalid choice: 'paus'"),
        (["control", "x", "rate", "a", "fast"], "invalid float value: 'fast'"),
        (["report"], "the following arguments are required: out"),
        (["urls.txt", "out"], "urls.txt is not written as key=value"),
        (["plan", "experiment=gbif"], "+experiment=gbif"),
        (["--shell-completion"], "there is completion for bash, zsh, fish"),
        ([], "path_to_input is required"),
        (["path_to_input=", "path_to_output=x"], "path_to_input is required"),
        (["path_to_input=x", "path_to_output="], "path_to_output='' is not valid: it is empty"),
        (
            ["path_to_input=x", "path_to_output=y", "image.quality=high"],
            "image.quality=high is not valid: write a whole",
        ),
        (["path_to_input=x", "path_to_output=y", "image.quality=0"], "write a number of at least 1"),
        (["path_to_input=x", "path_to_output=y", "mode=pln"], "mode=pln is not valid: did you mean plan?"),
        (
            ["path_to_input=x", "path_to_output=y", "image.chroma=411"],
            "image.chroma=411 is not valid: choose from 420, 444",
        ),
        (["path_to_input=x", "path_to_output=y", "image=3"], "image=3 does not exist; choose from jpeg, original"),
        (["path_to_input=x", "path_to_output=y", "dataset=gbiv"], "did you mean gbif? choose from auto, "),
        (["path_to_input=x", "path_to_output=y", "retry_errors=[a,b]"], "'a' is not a kind of error"),
        (["path_to_input=x", "path_to_output=y", "downloader_parameters=3"], "write downloader_parameters.NAME=..."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(monkeypatch, *arguments) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert len(printed.err.splitlines()) == 1
    assert not printed.out


def test_the_console_script_is_this_entry() -> None:
    assert 'ray-downloader = "ray_downloader.__main__:main"' in PYPROJECT.read_text("utf-8")
