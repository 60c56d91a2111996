"""The variables that scripts and custom tools of the legacy project find."""

from __future__ import annotations

from pathlib import Path

from ray_downloader.config.legacy_environment import legacy_environment
from ray_downloader.config.settings import Settings

OUTPUT = "URLS_FOLDER LOGS_FOLDER IMAGES_FOLDER SCHEDULES_FOLDER PROFILES_TABLE IGNORED_TABLE INNER_CHECKPOINT_FILE"
DOWNLOADER = (
    "NUM_DOWNLOADS MAX_NODES WORKERS_PER_NODE CPU_PER_WORKER HEADER IMAGE_SIZE LOGGER_LEVEL BATCH_SIZE RATE_MULTIPLIER"
)
TOOLS = "NUM_WORKERS MAX_NODES WORKERS_PER_NODE CPU_PER_WORKER THRESHOLD_SIZE NEW_RESIZE_SIZE"
PROMISED = {
    *("CONFIG_PATH", "ACCOUNT", "PATH_TO_INPUT", "PATH_TO_OUTPUT", "OUTPUT_TOOLS_FOLDER"),
    *(f"OUTPUT_{name}" for name in OUTPUT.split()),
    *(f"DOWNLOADER_{name}" for name in [*DOWNLOADER.split(), "DEFAULT_RATE_LIMIT", "POOL_BELOW"]),
    *(f"TOOLS_{name}" for name in TOOLS.split()),
}


def test_every_promised_variable_is_there() -> None:
    settings = Settings.from_config(
        {"path_to_input": "/in.csv", "path_to_output": "/out", "downloader_parameters": {"cpu_per_worker": 2}}
    )
    found = legacy_environment(settings, Path("/c.yaml"))
    assert set(found) == PROMISED
    assert (found["CONFIG_PATH"], found["PATH_TO_INPUT"], found["PATH_TO_OUTPUT"]) == ("/c.yaml", "/in.csv", "/out")
    assert found["OUTPUT_TOOLS_FOLDER"] == "/out/tools"
    assert found["DOWNLOADER_CPU_PER_WORKER"] == "2", "Slurm takes whole numbers only"
    assert found["DOWNLOADER_RATE_MULTIPLIER"] == "0.5"
    assert (found["ACCOUNT"], found["DOWNLOADER_MAX_NODES"]) == ("", ""), "unset is empty"


def test_a_custom_tool_finds_its_options_and_a_folder_for_its_logs() -> None:
    settings = Settings.from_config(
        {"path_to_input": "", "path_to_output": "/out", "tools_parameters": {"options": {"crop_path": "/crops"}}}
    )
    found = legacy_environment(settings, Path("/c.yaml"), "crop")
    assert set(found) - PROMISED == {"OUTPUT_TOOLS_LOGS_FOLDER", "TOOLS_CROP_PATH"}
    assert (found["OUTPUT_TOOLS_LOGS_FOLDER"], found["TOOLS_CROP_PATH"]) == ("/out/tools/crop/logs", "/crops")
