"""The page holds its data as data, whatever is in it, and allows nothing but its own style and script."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from ray_downloader.report.page import page

TEXTS = [
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "a & b",
    "\u2028\u2029",
    "${policy} $data",
    "日本 \U0001f600",
]


def data_of(text: str) -> str:
    """What is in the element that is not run."""
    found = re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)
    assert found
    return found[1]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_data_and_nothing_else(text: str) -> None:
    made = page({"name": text, text: [text]})
    assert json.loads(data_of(made)) == {"name": text, text: [text]}
    assert not set(data_of(made)) & {"<", ">", "&", "\u2028", "\u2029"}
    assert made.count("<script") == page({}).count("<script")


def test_half_a_character_does_not_stop_the_report() -> None:
    assert json.loads(data_of(page({"name": "\udc80"}))) == {"name": "?"}


def test_only_the_style_and_script_of_the_page_are_allowed() -> None:
    made = page({"name": "x"})
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', made)
    style = re.search(r"<style>(.*?)</style>", made, re.DOTALL)
    scripts = re.findall(r"<script>(.*?)</script>", made, re.DOTALL)
    assert style and len(scripts) == 1
    for kind, text in (("style", style[1]), ("script", scripts[0])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
