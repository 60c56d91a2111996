"""The command to be given again is the one that was given, but for what would start over."""

from __future__ import annotations

from ray_downloader.config.command_line import command_again


def test_what_would_start_over_is_left_out_and_the_shell_is_thought_of() -> None:
    given = ["+experiment=gbif", "path_to_output=my out", "reset=batched", "retry_errors=[dns]", "+confirm=out"]
    assert command_again(given, retry_errors="transient") == (
        "python -m ray_downloader +experiment=gbif 'path_to_output=my out' retry_errors=transient"
    )
