"""Download, resize and store millions of images from URL lists: as fast as each server allows and never faster."""

from __future__ import annotations

from pathlib import Path

__version__ = "0.1.0"
__all__ = ["__version__", "download_images"]


def download_images(config: str | Path) -> int:
    """Run what a YAML file describes: its keys over the defaults of `conf/`.

    Returns:
        The exit code: 0 when every row is settled, 3 when stopped before the end.

    Raises:
        UserError: The configuration or the input is not usable.
    """
    from ray_downloader.compose import settings_from_file  # noqa: PLC0415 (importing the package stays cheap)
    from ray_downloader.pipeline import run  # noqa: PLC0415

    return run(settings_from_file(Path(config)))
