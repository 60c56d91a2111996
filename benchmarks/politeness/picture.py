"""Draws what servers with a limit delivered and refused over time, one panel a kind of server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

from benchmarks.politeness.behaviours import LIMIT_RPS
from benchmarks.politeness.running import Request

PANELS = ("retry-after", "bare-429", "busy-503", "latency", "ban", "drip")
CLIENTS = {"ours": "tab:blue", "at": "tab:gray", "dd": "tab:orange", "autothrottle": "tab:green"}
STEP_S = 2.0


def draw(logs: Mapping[tuple[str, str], Sequence[Request]], path: Path) -> None:
    """Write the picture: images/s of each client as lines against the limit, our refusals as red ticks."""
    mpl.rcParams["svg.hashsalt"] = "politeness"  # the same file for the same figures
    figure, axes = plt.subplots(3, 2, figsize=(11, 8), sharex=True, sharey=True, layout="constrained")
    for panel, server in zip(axes.flat, PANELS, strict=True):
        panel.axhline(LIMIT_RPS, color="black", linewidth=0.8, linestyle="--")
        for client, color in CLIENTS.items():
            if log := logs.get((client, server)):
                panel.plot(*_rate(log), color=color, label=client, linewidth=2 if client == "ours" else 1)
        ours = logs.get(("ours", server), ())
        refused = [entry.at_s - ours[0].at_s for entry in ours if entry.status != 200]
        panel.plot(refused, [0] * len(refused), "|", color="tab:red", label="refusals of ours")
        panel.set_title(server)
        panel.set_ylim(-1, 2 * LIMIT_RPS)
    axes.flat[0].legend(fontsize="small")
    figure.supxlabel("seconds")
    figure.supylabel("images/s (dashed: what the server allows)")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _rate(log: Sequence[Request]) -> tuple[list[float], list[float]]:
    """Middle of each step, and images/s in it."""
    start_s = log[0].at_s
    steps = int((log[-1].at_s - start_s) / STEP_S)
    counts = Counter(int((entry.at_s - start_s) / STEP_S) for entry in log if entry.status == 200)
    return [(step + 0.5) * STEP_S for step in range(steps)], [counts[step] / STEP_S for step in range(steps)]
