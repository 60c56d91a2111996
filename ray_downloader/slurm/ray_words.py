"""What `ray start --block` prints, without its banners and colours, and what it says about its end. Pure."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

#: Begins the sentence that says why Ray ended on a node; the driver looks for it in the node's log.
DEATH = "Ray died:"
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+\s+\w+ \w+\.py:\d+ -- ")
_EXIT = re.compile(r"(\w+)\.(?:out|err) tail \(exit code\(s\)=(-?\d+)")
#: Ray's welcome, its advice, and statistics of its event loops.
_NOISE = re.compile(
    r"^$|Local node IP|Ray runtime started|^-+$|Next steps|To add another node|To connect to this Ray|^\s*import\s+ray|"
    r"^\s*ray\.init|^\s*ray (start|stop|status|job)|To submit a Ray job|RAY_API_SERVER_ADDRESS|See https://docs|"
    r"To terminate the Ray|To view the status|To monitor and debug|view the dashboard|--block|will now block|"
    r"Running subprocesses are monitored|^\s*_node_ip_address|Usage stats|for more information on submitting|"
    r"Global stats|Queueing time|Execution time|Event stats|GCS Debug|total \(\d+ active\)|^\*+$|job submission server"
)


def plain(line: str) -> str | None:
    """A line as plain text; None for one that nobody needs."""
    text = _STAMP.sub("", _ANSI.sub("", line).rstrip())
    return None if _NOISE.search(text) else text


def dead_process(lines: Sequence[str]) -> tuple[str, int] | None:
    """The process of Ray that ended by itself, and its exit code; None if Ray does not name one."""
    found = [match for line in lines if (match := _EXIT.search(line))]
    return (found[0][1], int(found[0][2])) if found else None


def death_sentence(node: str, dead: tuple[str, int] | None, exit_code: int, memory: str) -> str:
    """The one sentence about the end of Ray on a node.

    Args:
        node: Its name.
        dead: The process that ended first, and its exit code.
        exit_code: That of `ray start`.
        memory: What is known about the node's memory; it matters only if something was killed.
    """
    name, code = dead or ("process", exit_code)
    if code >= 0:
        return f"{DEATH} its {name} on {node} ended with exit code {code}"
    hint = f" ({memory})" if -code == signal.SIGKILL else ""
    return f"{DEATH} its {name} on {node} was killed by {signal.Signals(-code).name}{hint}"
