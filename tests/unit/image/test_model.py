"""Options of the image stage, as the configuration has them."""

from __future__ import annotations

from ray_downloader.config.settings import Settings
from ray_downloader.image.model import ImageOptions


def test_the_options_are_those_of_the_configuration() -> None:
    groups = {"image": {"quality": 80, "chroma": 444}, "downloader_parameters": {"image_size": 99}}
    settings = Settings.from_config({"path_to_input": "x", "path_to_output": "y", **groups})
    assert ImageOptions.of(settings) == ImageOptions(image_size=99, quality=80, chroma=444)
