"""What the law gets out of a server's rate, request by request: the real budget and lease code under a virtual clock.

A run of 200 M images is too long to simulate by single requests. So each kind of server (rate, number of tasks that
hold it at once) is simulated so for its first minutes, and goes on at the rate that it has settled at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from ray_downloader.politeness.policy import ServerPolicy
from tests.unit.politeness.virtual_run import TokenBucket, VirtualRun

#: A profile gives the first rate, and `rate_multiplier=0.5` the ceiling.
START_SHARE = 1 / 1.5
LATENCY_S = 0.05
#: Requests simulated of each kind of server, and the part of them that counts as settled.
REQUESTS = 12_000
MIN_SECONDS = 60.0
SETTLED_FROM = 0.5


@dataclass(frozen=True, slots=True)
class LawFigures:
    """What the law does with a server.

    Args:
        share: Settled goodput as a share of the ceiling.
        ramp_s: Time lost before it has settled, as seconds at the settled rate.
    """

    share: float
    ramp_s: float


def nearest_kind(rate_rps: float, kinds: Sequence[float]) -> float:
    """The simulated rate that is nearest, by ratio."""
    return min(kinds, key=lambda kind: abs(math.log(rate_rps / kind)))


@cache
def simulate_law(rate_rps: float, tasks: int, burst: int) -> LawFigures:
    """Run the law at a server that allows its ceiling and no more than a tenth beyond, until it has settled."""
    seconds = max(MIN_SECONDS, REQUESTS / rate_rps)
    connections = max(4, int(2 * rate_rps * LATENCY_S))
    policy = ServerPolicy(rate_rps * START_SHARE, rate_rps, burst, connections)
    server = TokenBucket(1.1 * rate_rps, max(5.0 + burst, rate_rps / 10), ttfb_s=LATENCY_S)
    run = VirtualRun(policy, server, [int(rate_rps * seconds * 2)] * tasks)
    run.run(seconds)
    settled_s = seconds * SETTLED_FROM
    settled = sum(at_s >= settled_s for at_s in run.delivered)
    settled_rps = settled / (seconds - settled_s)
    ramp_s = max(0.0, settled_s - (len(run.delivered) - settled) / settled_rps)
    return LawFigures(settled_rps / rate_rps, ramp_s)
