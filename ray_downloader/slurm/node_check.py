"""One node's part in the check step: `srun` starts this on every node. It prints one line: whether the node is usable.

That it runs at all shows that the node answers and has the program's environment.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

READY = "ready"
UNSHARED = "unshared"
#: A network file system may show a new file some seconds late.
PATIENCE_S = 15.0


def main(proof: Path, secret: str, name: str, pause: Callable[[float], None] = time.sleep) -> str:
    """Read the file that the first node wrote.

    Returns:
        The line: the node's name and what is so.
    """
    waited_s = 0.0
    while not (is_shared := _reads(proof, secret)) and waited_s < PATIENCE_S:
        pause(0.5)
        waited_s += 0.5
    return f"{name} {READY if is_shared else UNSHARED}"


def _reads(proof: Path, secret: str) -> bool:
    try:
        return proof.read_text("ascii") == secret
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    # In one piece: lines of several nodes arrive at the same time.
    os.write(1, f"{main(Path(sys.argv[1]), sys.argv[2], os.environ['SLURMD_NODENAME'])}\n".encode())
