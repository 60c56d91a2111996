"""`--help` of the tools is about tools."""

from __future__ import annotations

import sys

import pytest

from ray_downloader.config.compose import CONF
from ray_downloader.config.settings import ToolsParameters
from ray_downloader.tools import TOOLS
from ray_downloader.tools.usage import usage


def test_every_tool_is_named_with_what_it_does() -> None:
    lines = [line.split() for line in usage(CONF / "config.yaml").splitlines()]
    told = {words[0]: words[1:] for words in lines if words and words[0] in set(TOOLS)}
    assert sorted(told) == list(TOOLS)
    assert all(len(words) > 3 for words in told.values())


def test_every_key_of_the_tools_is_explained() -> None:
    text = usage(CONF / "config.yaml")
    assert [key for key in ToolsParameters.model_fields if f"\n  {key}: " not in text] == []


def test_a_tool_that_does_not_say_what_it_does_is_named_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[TOOLS.get("stats").__module__], "__doc__", None)
    assert "  stats" in usage(CONF / "config.yaml")
