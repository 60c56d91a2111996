"""The text of `python -m ray_downloader.tools --help`, from the docstrings of the tools and from `conf/config.yaml`."""

from __future__ import annotations

import sys
from pathlib import Path

from ray_downloader.tools.base import TOOLS

_HEAD = """Works on the finished images of a run folder. Writes into its folder tools/<tool>/ and changes nothing else.

  python -m ray_downloader.tools tool=NAME path_to_output=OUT [tools_parameters.KEY=VALUE ...]
  python -m ray_downloader.tools tool=resize path_to_output=out tools_parameters.new_resize_size=128
  python -m ray_downloader.tools tool=duplication_based path_to_output=out tools_parameters.apply=true

The same command continues a tool that was stopped or killed.
Exit codes: 0 done, 1 unexpected failure, 2 bad configuration or input, 3 stopped (run again), 4 folder busy.
"""
_PARAMETERS = "tools_parameters:"


def usage(config_file: Path) -> str:
    """The whole text.

    Args:
        config_file: The file with the defaults, whose comments explain the keys.
    """
    tools = "\n".join(f"  {name:<20}{_what_it_does(name)}" for name in TOOLS)
    return (
        f"{_HEAD}\n== Tools (docs/adding.md explains how to write your own) ==\n{tools}\n\n"
        f"== tools_parameters.KEY, with its default ==\n{_explained_keys(config_file.read_text('utf-8'))}\n\n"
        "The groups image (image=png, image.quality=90, ...) and cluster (cluster=existing, cluster.num_cpus=8, ...)\n"
        "are those of the download: python -m ray_downloader --help"
    )


def _what_it_does(name: str) -> str:
    """The first sentence of the tool's module, without the name that it starts with."""
    text = sys.modules[TOOLS.get(name).__module__].__doc__ or ""
    return " ".join(text.partition("\n\n")[0].split()).removeprefix(f"`{name}`: ")


def _explained_keys(config: str) -> str:
    """The lines of the group `tools_parameters`, with their comments."""
    lines = iter(config.splitlines())
    while next(lines) != _PARAMETERS:
        pass
    return "\n".join(iter(lambda: next(lines, ""), ""))
