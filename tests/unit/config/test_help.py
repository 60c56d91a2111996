"""The help is short, and the long one explains every key of the settings."""

from __future__ import annotations

import re

from ray_downloader.config.compose import group_choices
from ray_downloader.config.help import SHORT, all_keys, full_help


def test_every_key_has_one_sentence() -> None:
    keys = list(all_keys())
    assert len(keys) > 100
    for key in keys:
        assert re.fullmatch(r"\S.*[.\"]", key.sentence), key.name


def test_the_long_help_has_every_key_with_its_default_and_choices() -> None:
    text = full_help(group_choices())
    for key in all_keys():
        assert f"  {key.name}=" in text
    assert "  mode=run  (plan)\n      run, or plan: no image is fetched" in text
    assert "  path_to_input=...  (required)\n" in text
    assert "  retry_errors=[]\n" in text
    assert "  downloader_parameters.cpu_per_worker=1\n" in text
    assert "  +experiment=  auto " in text


def test_the_short_help_fits_on_a_screen() -> None:
    lines = SHORT.splitlines()
    assert len(lines) < 30
    assert max(map(len, lines)) <= 120
