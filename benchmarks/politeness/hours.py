"""Our law alone, for hours of virtual time: `python -m benchmarks.politeness.hours [--hours 4]`.

A server that refuses without Retry-After is left alone for a minute, then two, then four; what that costs shows only
in a run of hours. The real budget and lease code, two tasks, the same servers as in the other benchmark.
"""

from __future__ import annotations

import argparse
from bisect import bisect_left

from benchmarks.politeness.behaviours import BEHAVIOURS, LIMIT_RPS, Behaviour
from ray_downloader.errors import ErrorKind
from ray_downloader.politeness.messages import Outcome
from ray_downloader.politeness.policy import ServerPolicy
from tests.unit.politeness.virtual_run import VirtualRun

KINDS = {
    200: None,
    403: ErrorKind.HTTP_403_BAN,
    429: ErrorKind.HTTP_429,
    503: ErrorKind.HTTP_5XX,
}
START_RPS, CEILING_RPS = 10.0, 200.0


class VirtualServer:
    """A behaviour, as `VirtualRun` asks it."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour

    def answer(self, now_s: float) -> Outcome:
        """What a request that arrives now is answered."""
        reply = self._behaviour.reply(now_s)
        seconds = reply.wait_s + reply.drip_s
        return Outcome(
            KINDS[reply.status], reply.status, 1000, ttfb_s=reply.wait_s, retry_after_s=reply.retry_after_s,
            total_s=seconds,
        )  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=2.0)
    arguments = parser.parse_args()
    seconds = 3600 * arguments.hours
    rows = int(seconds * CEILING_RPS)
    print("| server | images | share of 30/s | in the last half | refusals per 1,000 images, all and last half |")
    print("|---|---:|---:|---:|---:|")
    for name, make in BEHAVIOURS.items():
        if name == "healthy":
            continue
        run = VirtualRun(ServerPolicy(START_RPS, CEILING_RPS, 1, 16), VirtualServer(make()), [rows, rows])
        run.run(seconds)
        late = len(run.delivered) - bisect_left(run.delivered, seconds / 2)
        late_refused = len(run.refused) - bisect_left(run.refused, seconds / 2)
        print(
            f"| {name} | {len(run.delivered)} | {len(run.delivered) / seconds / LIMIT_RPS:.2f} "
            f"| {late / (seconds / 2) / LIMIT_RPS:.2f} | {1000 * len(run.refused) / max(1, len(run.delivered)):.1f}, "
            f"{1000 * late_refused / max(1, late):.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
