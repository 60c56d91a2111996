"""Download, resize and store millions of images from URL lists: as fast as each server allows and never faster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_downloader.errors import FolderBusyError, RunFolderError, StartError, UserError

if TYPE_CHECKING:
    from ray_downloader.result import RunResult

__version__ = "0.1.0"
__all__ = [
    "FolderBusyError",
    "RunFolderError",
    "StartError",
    "UserError",
    "__version__",
    "apply_tools",
    "download_images",
]


def download_images(config: str | Path | Mapping[str, Any] | None = None, /, **overrides: Any) -> RunResult:
    """Run what a YAML file, a mapping or keywords describe: their keys over the defaults of `conf/`.

        download_images("config.yaml")
        download_images({"path_to_input": "urls.txt", "path_to_output": "out", "politeness.contact": "you@example.org"})
        download_images("config.yaml", image="png", downloader_parameters={"image_size": 512})

    A legacy file, which cannot name a contact, only gets a warning where another one is refused. A Ray that runs in
    this process already is used, and left running; so are threads and event loops.

    Args:
        config: A file, or the keys themselves, nested or dotted; a group may be named (`dataset="gbif"`).
        overrides: Keys over those of `config`; `experiment="gbif"` adds an experiment.

    Returns:
        The counts, the files and the exit code: 0 if every row is settled, 3 if the run stopped before the end.

    Raises:
        UserError: The configuration or the input is unusable (`FolderBusyError`: another run holds the folder,
            `StartError`: Ray did not start, `RunFolderError`: a file of the run folder is damaged).
        KeyboardInterrupt: It was interrupted; what was done is kept, and the same call continues.
    """
    from ray_downloader.config.given import given_settings  # noqa: PLC0415 (importing the package is cheap)
    from ray_downloader.machine import refuse_windows, with_home  # noqa: PLC0415

    refuse_windows()  # which lacks what the imports below need
    from ray_downloader.pipeline import run  # noqa: PLC0415
    from ray_downloader.result import RunResult  # noqa: PLC0415
    from ray_downloader.run_folder.layout import RunLayout  # noqa: PLC0415
    from ray_downloader.signals import raising_interrupts  # noqa: PLC0415

    settings, contact_rule = given_settings(config, overrides)
    with raising_interrupts():
        exit_code = run(settings, contact_rule)
    root = with_home(settings.path_to_output).absolute()
    return RunResult(exit_code, RunLayout.of(settings.model_copy(update={"path_to_output": root})))


def apply_tools(config: str | Path | Mapping[str, Any], tool_name: str, /, **overrides: Any) -> int:
    """Run a tool on the finished images of the run that a YAML file, or a mapping, describes.

    Args:
        config: The file or keys of the download, or with only `path_to_output` and `tools_parameters`.
        tool_name: A built-in tool, or one that a module of `tools_parameters.modules` or the caller registered.
        overrides: Keys over those of `config`.

    Returns:
        The exit code: 0 if the tool is done, 3 if it stopped before the end.

    Raises:
        UserError: The configuration, the run folder or the tool's name is unusable.
        KeyboardInterrupt: It was interrupted; what was done is kept, and the same call continues.
    """
    from omegaconf import OmegaConf  # noqa: PLC0415

    from ray_downloader.config.compose import compose_over  # noqa: PLC0415
    from ray_downloader.config.given import given_keys  # noqa: PLC0415
    from ray_downloader.signals import raising_interrupts  # noqa: PLC0415
    from ray_downloader.tools.configuration import flat_keys  # noqa: PLC0415
    from ray_downloader.tools.entry import apply_tool_to  # noqa: PLC0415

    given = given_keys(config, overrides)
    composed = OmegaConf.to_container(compose_over(given), resolve=False)
    assert isinstance(composed, dict)
    values = {str(key): value for key, value in composed.items()}
    path = Path(config).absolute() if isinstance(config, str | Path) else None
    with raising_interrupts():
        return apply_tool_to(tool_name, values, flat_keys(given), path)
