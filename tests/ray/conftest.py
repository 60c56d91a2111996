"""One real Ray for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ray_downloader.cluster.environment import prepare_environment
from ray_downloader.config.settings import ClusterSettings, Settings
from ray_downloader.run_folder.layout import RunLayout


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Embedded Ray on two cores."""
    prepare_environment(ClusterSettings())
    from ray_downloader.cluster.connect import running_cluster

    settings = Settings(path_to_input="-", path_to_output=tmp_path_factory.mktemp("ray"))
    with running_cluster(ClusterSettings(num_cpus=2), settings.downloader_parameters, RunLayout.of(settings)):
        yield


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """The frozen settings of a run folder."""
    settings = Settings(path_to_input="list.txt", path_to_output=tmp_path)
    path = tmp_path / "settings.json"
    path.write_text(settings.to_json(), "utf-8")
    return path
