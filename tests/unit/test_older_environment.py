"""The variables that scripts and custom tools of the older project find."""

from __future__ import annotations

from pathlib import Path

from ray_downloader.older_environment import older_environment
from ray_downloader.settings import Settings

PROMISED = frozenset(
    [
        "CONFIG_PATH",
        "ACCOUNT",
        "PATH_TO_INPUT",
        "PATH_TO_OUTPUT",
        "OUTPUT_URLS_FOLDER",
        "OUTPUT_LOGS_FOLDER",
        "OUTPUT_IMAGES_FOLDER",
        "OUTPUT_SCHEDULES_FOLDER",
        "OUTPUT_PROFILES_TABLE",
        "OUTPUT_IGNORED_TABLE",
        "OUTPUT_INNER_CHECKPOINT_FILE",
        "OUTPUT_TOOLS_FOLDER",
        "DOWNLOADER_NUM_DOWNLOADS",
        "DOWNLOADER_MAX_NODES",
        "DOWNLOADER_WORKERS_PER_NODE",
        "DOWNLOADER_CPU_PER_WORKER",
        "DOWNLOADER_HEADER",
        "DOWNLOADER_IMAGE_SIZE",
        "DOWNLOADER_LOGGER_LEVEL",
        "DOWNLOADER_BATCH_SIZE",
        "DOWNLOADER_RATE_MULTIPLIER",
        "DOWNLOADER_DEFAULT_RATE_LIMIT",
        "TOOLS_NUM_WORKERS",
        "TOOLS_MAX_NODES",
        "TOOLS_WORKERS_PER_NODE",
        "TOOLS_CPU_PER_WORKER",
        "TOOLS_THRESHOLD_SIZE",
        "TOOLS_NEW_RESIZE_SIZE",
    ]
)


def test_every_promised_variable_is_there() -> None:
    settings = Settings.from_config(
        {"path_to_input": "/in.csv", "path_to_output": "/out", "downloader_parameters": {"cpu_per_worker": 2}}
    )
    found = older_environment(settings, Path("/c.yaml"))
    assert set(found) == PROMISED
    assert (found["CONFIG_PATH"], found["PATH_TO_INPUT"], found["PATH_TO_OUTPUT"]) == ("/c.yaml", "/in.csv", "/out")
    assert found["OUTPUT_TOOLS_FOLDER"] == "/out/tools"
    assert found["DOWNLOADER_CPU_PER_WORKER"] == "2", "Slurm takes whole numbers only"
    assert found["DOWNLOADER_RATE_MULTIPLIER"] == "0.5"
    assert (found["ACCOUNT"], found["DOWNLOADER_MAX_NODES"]) == ("", ""), "unset is empty"
