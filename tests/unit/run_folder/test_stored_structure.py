"""The names of a run's folders, as its settings have them."""

from __future__ import annotations

import json

import pytest

from ray_downloader.config.settings import OutputStructure
from ray_downloader.run_folder.stored_structure import stored_structure


def test_what_is_configured_is_taken_and_the_rest_is_as_usual() -> None:
    given = {"output_structure": {"images_folder": "pictures", "of_another_version": 1}}
    for text in (json.dumps(given), json.dumps(given).encode()):
        assert stored_structure(text) == OutputStructure(images_folder="pictures")
    assert stored_structure("{}") == OutputStructure()


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"output_structure": {"images_folder": 3}}'])
def test_what_is_no_settings_file_is_an_error(text: str) -> None:
    with pytest.raises((ValueError, AttributeError)):
        stored_structure(text)
