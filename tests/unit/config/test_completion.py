"""Shells complete subcommands, keys, choices and files, without starting Python."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ray_downloader.config.completion import completion_script
from ray_downloader.config.compose import group_choices
from ray_downloader.errors import UserError

_ASK = """
COMP_LINE="ray-downloader $1"; COMP_POINT=${#COMP_LINE}
COMP_WORDS=(ray-downloader "$1"); COMP_CWORD=1
_ray_downloader
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(word: str, folder: Path) -> list[str]:
    script = completion_script("/bin/bash", group_choices()) + _ASK
    return subprocess.run(
        ["bash", "-c", script, "bash", word], cwd=folder, capture_output=True, text=True, check=True
    ).stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("sta", ["status", "stages="]),
        ("path_to_o", ["path_to_output="]),
        ("dataset=gb", ["gbif"]),
        ("+experiment=de", ["demo"]),
        ("image.encode=p", ["png"]),
        ("politeness.adaptive=", ["true", "false"]),
        ("path_to_input=ur", ["urls.txt"]),
        ("--help-", ["--help-all"]),
    ],
)
def test_bash_completes(word: str, found: list[str], tmp_path: Path) -> None:
    (tmp_path / "urls.txt").touch()
    assert completed(word, tmp_path) == found


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")
@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("stat", ["status"]),
        ("dataset=gb", ["dataset=gbif"]),
        ("image.decode=", ["image.decode=exact", "image.decode=fast"]),
        ("path_to_input=ur", ["path_to_input=urls.txt"]),
    ],
)
def test_fish_completes_and_offers_files_for_paths_only(word: str, found: list[str], tmp_path: Path) -> None:
    (tmp_path / "urls.txt").touch()
    (tmp_path / "f").write_text(completion_script("fish", group_choices()), "utf-8")
    done = subprocess.run(
        ["fish", "--no-config", "-c", f'source f; complete -C "ray-downloader {word}"'],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == found


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh")
def test_zsh_takes_the_script(tmp_path: Path) -> None:
    (tmp_path / "z").write_text(completion_script("zsh", group_choices()), "utf-8")
    script = "autoload -Uz compinit; compinit -u -d dump; source z; print $_comps[ray-downloader]"
    done = subprocess.run(["zsh", "-f", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "_ray_downloader" in done.stdout


def test_other_shells_are_known_or_refused() -> None:
    assert "bashcompinit" in completion_script("zsh", group_choices())
    with pytest.raises(UserError, match="--shell-completion tcsh: there is completion for bash, zsh, fish"):
        completion_script("tcsh", group_choices())
