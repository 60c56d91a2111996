"""What is kept of `ray start`'s output, and the sentence about its end."""

from __future__ import annotations

import pytest

from ray_downloader.slurm.node_memory import kernel_words
from ray_downloader.slurm.ray_words import dead_process, death_sentence, plain

BANNER = """\
2026-11-27 23:44:16,460\tINFO usage_lib.py:473 -- Usage stats collection is disabled.
2026-11-27 23:44:16,460\tINFO scripts.py:917 -- \x1b[37mLocal node IP\x1b[39m: \x1b[1m10.0.0.1\x1b[22m
2026-11-27 23:44:16,460\tSUCC scripts.py:966 -- \x1b[32m--------------------\x1b[39m
2026-11-27 23:44:16,460\tSUCC scripts.py:966 -- \x1b[32mRay runtime started.\x1b[39m
2026-11-27 23:44:16,460\tINFO scripts.py:969 -- \x1b[36mNext steps\x1b[39m
2026-11-27 23:44:16,460\tINFO scripts.py:972 -- To add another node to this Ray cluster, run
2026-11-27 23:44:16,460\tINFO scripts.py:975 -- \x1b[1m  ray start --address='10.0.0.1:20000'\x1b[22m
"""


@pytest.mark.parametrize("line", [*BANNER.splitlines(), "", "\x1b[39m", "Global stats: 4 total (1 active)"])
def test_banners_colours_and_statistics_are_left_out(line: str) -> None:
    assert plain(line) is None


def test_what_matters_is_kept_as_plain_text() -> None:
    line = "2026-11-27 23:44:16,460\tERR scripts.py:1315 -- \x1b[31mRemaining processes will be killed.\x1b[39m"
    assert plain(line) == "Remaining processes will be killed."


def test_the_process_that_ended_first_is_found() -> None:
    lines = ["----- END gcs_server.out tail (exit code(s)=-9 (signal 9)) -----",
             "----- END raylet.out tail (exit code(s)=-15 (signal 15)) -----"]  # fmt: skip
    assert dead_process(lines) == ("gcs_server", -9)
    assert dead_process(["Remaining processes will be killed."]) is None


@pytest.mark.parametrize(
    ("dead", "exit_code", "sentence"),
    [
        (("gcs_server", -9), 1, "Ray died: its gcs_server on n1 was killed by SIGKILL (memory in use now: all)"),
        (("raylet", -6), 1, "Ray died: its raylet on n1 was killed by SIGABRT"),
        (("raylet", 1), 1, "Ray died: its raylet on n1 ended with exit code 1"),
        (None, 1, "Ray died: its process on n1 ended with exit code 1"),
    ],
    ids=["killed", "aborted", "ended", "unknown"],
)
def test_the_sentence_has_memory_figures_only_where_something_was_killed(
    dead: tuple[str, int] | None, exit_code: int, sentence: str
) -> None:
    assert death_sentence("n1", dead, exit_code, "memory in use now: all") == sentence


KILLED = "Out of memory: Killed process 22507 (gcs_server) total-vm:24001348kB, anon-rss:23652252kB"
LOG = f"""\
[  100.000000] Memory cgroup out of memory: Killed process 1 (gcs_server) total-vm:1kB
[15105.115809] {KILLED}
[15107.000000] Out of memory: Killed process 9 (python) total-vm:7kB
"""


@pytest.mark.parametrize(
    ("name", "uptime_s", "words"),
    [
        ("gcs_server", 15110.0, KILLED.partition(": ")[2]),
        ("gcs_server", 16000.0, ""),
        ("raylet", 15110.0, ""),
        ("gcs_server", 150.0, KILLED.partition(": ")[2]),
    ],
    ids=["just now", "long ago", "another process", "later"],
)
def test_the_kernels_words_are_about_this_death(name: str, uptime_s: float, words: str) -> None:
    assert kernel_words(LOG, name, uptime_s) == words
