"""Timings as a table and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.speed.timing import Timing

Timings = Mapping[tuple[str, str], Sequence[Timing]]
#: Against whom each is compared: with the same pixels where there is such a one.
RIVALS = {"ours original": "img2dataset original"}


def table(timings: Timings) -> str:
    """Markdown: minimum, median, maximum images/s of the stage; ratios are of medians of the same run."""
    lines = [
        "| size | contender | images/s of the stage: min / median / max | against img2dataset | share of its floor "
        "| whole command, s |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for (name, size), runs in sorted(timings.items(), key=lambda item: (item[0][1] != "small", _rank(item[0][0]))):
        rates = [run.images_per_s for run in runs]
        commands_s = [run.command_s for run in runs if run.command_s is not None]
        rival, floor = RIVALS.get(name, "img2dataset"), name.replace("ours", "floor")
        lines.append(
            f"| {size} | {name} | {spread(rates, 0)} "
            f"| {_ratio(timings, (name, size), (rival, size))} | {_ratio(timings, (name, size), (floor, size))} "
            f"| {f'{median(commands_s):.1f}' if commands_s else '-'} |"
        )
    return "\n".join(lines)


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Minimum, median and maximum."""
    return " / ".join(f"{value:.{digits}f}" for value in (min(values), median(values), max(values)))


def _rank(name: str) -> tuple[int, str]:
    return next((at for at, start in enumerate(("ours", "floor")) if name.startswith(start)), 2), name


def _ratio(timings: Timings, one: tuple[str, str], other: tuple[str, str]) -> str:
    if one == other or other not in timings:
        return "-"
    rates = [median(run.images_per_s for run in timings[key]) for key in (one, other)]
    return f"{rates[0] / rates[1]:.2f}"


def draw(timings: Timings, path: Path) -> None:
    """Bars of the median images/s, one panel a size."""
    import matplotlib as mpl  # noqa: PLC0415 (only who wants the picture needs it)

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    mpl.rcParams["svg.hashsalt"] = "speed"  # the same file for the same figures
    sizes = sorted({size for _, size in timings}, reverse=True)
    figure, axes = plt.subplots(1, len(sizes), figsize=(11, 4.5), layout="constrained", squeeze=False)
    for panel, size in zip(axes.flat, sizes, strict=True):
        names = sorted((name for name, its in timings if its == size), key=_rank, reverse=True)
        rates = [median(run.images_per_s for run in timings[name, size]) for name in names]
        colors = ["tab:blue" if "ours" in name else "lightgray" if "floor" in name else "tab:orange" for name in names]
        panel.bar_label(panel.barh(names, rates, color=colors), fmt="%.0f", padding=2)
        panel.set_title(f"{size} JPEGs")
        panel.margins(x=0.12)
    figure.supxlabel("images/s of the download stage, two cores")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
