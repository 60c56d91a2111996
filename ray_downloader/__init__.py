"""Download, resize and store millions of images from URL lists: as fast as each server allows and never faster."""

from __future__ import annotations

from pathlib import Path

__version__ = "0.1.0"
__all__ = ["__version__", "apply_tools", "download_images"]


def download_images(config: str | Path) -> int:
    """Run what a YAML file describes: its keys over the defaults of `conf/`.

    A legacy file, which cannot name a contact, only gets a warning where another one is refused.

    Returns:
        The exit code: 0 if every row is settled, 3 if the run stopped before the end.

    Raises:
        UserError: The configuration or the input is unusable.
    """
    from ray_downloader.config.compose import read_keys, settings_from_file  # noqa: PLC0415 (importing the package is cheap)
    from ray_downloader.config.contact import contact_rule  # noqa: PLC0415
    from ray_downloader.pipeline import run  # noqa: PLC0415

    path = Path(config)
    return run(settings_from_file(path), contact_rule(read_keys(path)))


def apply_tools(config: str | Path, tool_name: str) -> int:
    """Run a tool on the finished images of the run that a YAML file describes.

    Args:
        config: The file of the download, or one with only `path_to_output` and `tools_parameters`.
        tool_name: A built-in tool, or one that a module of `tools_parameters.modules` or the caller registered.

    Returns:
        The exit code: 0 if the tool is done, 3 if it stopped before the end.

    Raises:
        UserError: The configuration, the run folder or the tool's name is unusable.
    """
    from omegaconf import OmegaConf  # noqa: PLC0415

    from ray_downloader.config.compose import compose_over, keys_of_file  # noqa: PLC0415
    from ray_downloader.tools.configuration import flat_keys, tool_context  # noqa: PLC0415
    from ray_downloader.tools.entry import apply_tool  # noqa: PLC0415

    given = keys_of_file(Path(config))
    composed = OmegaConf.to_container(compose_over(given), resolve=False)
    assert isinstance(composed, dict)
    values = {str(key): value for key, value in composed.items()}
    return apply_tool(tool_context(tool_name, values, flat_keys(given)), Path(config).absolute())
