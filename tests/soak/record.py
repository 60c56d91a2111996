"""What is kept of a soak: figures as JSON, samples as CSV, and a picture of them as SVG."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from tests.soak.processes import Sample

WIDTH, HEIGHT, LEFT, TOP = 900, 260, 70, 30
_LINES = {"workers_mb": "#1f77b4", "decoders_mb": "#2ca02c", "driver_mb": "#d62728", "ray_mb": "#7f7f7f"}


def keep(folder: Path, samples: Sequence[Sample], figures: Mapping[str, Any]) -> None:
    """Write `record.json`, `samples.csv` and `samples.svg`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "record.json").write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    with (folder / "samples.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Sample))
        writer.writerows([f"{value:g}" for value in asdict(one).values()] for one in samples)
    (folder / "samples.svg").write_text(drawn(samples, figures["faults_at_s"]), "utf-8")


def drawn(samples: Sequence[Sample], faults_at_s: Sequence[float]) -> str:
    """Memory above, descriptors below, over the same time; a grey line for each fault."""
    end_s = max((one.at_s for one in samples), default=1.0) or 1.0
    memory = {name: [(one.at_s, getattr(one, name)) for one in samples] for name in _LINES}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{2 * HEIGHT}" font-family="sans-serif" '
        'font-size="12"><rect width="100%" height="100%" fill="white"/>',
        *_panel(0, "memory (MB)", memory, _LINES, end_s, faults_at_s),
        *_panel(
            HEIGHT, "file descriptors", {"descriptors": [(one.at_s, one.descriptors) for one in samples]},
            {"descriptors": "#9467bd"}, end_s, faults_at_s,
        ),
        "</svg>\n",
    ]  # fmt: skip
    return "\n".join(parts)


def _panel(
    above: int,
    title: str,
    lines: Mapping[str, Sequence[tuple[float, float]]],
    colours: Mapping[str, str],
    end_s: float,
    faults_at_s: Sequence[float],
) -> list[str]:
    width, height = WIDTH - LEFT - 20, HEIGHT - 2 * TOP
    most = max((value for points in lines.values() for _, value in points), default=1.0) or 1.0

    def at(seconds: float, value: float) -> str:
        return f"{LEFT + width * seconds / end_s:.1f},{above + TOP + height * (1 - value / most):.1f}"

    parts = [f'<text x="{LEFT}" y="{above + 18}">{title}, most {most:.0f}; {end_s:.0f} s</text>']
    for seconds in faults_at_s:
        x = at(seconds, 0).partition(",")[0]
        parts.append(f'<line x1="{x}" x2="{x}" y1="{above + TOP}" y2="{above + TOP + height}" stroke="#ddd"/>')
    for number, (name, points) in enumerate(lines.items()):
        path = " ".join(at(*point) for point in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colours[name]}"/>')
        parts.append(f'<text x="{LEFT + 300 + 120 * number}" y="{above + 18}" fill="{colours[name]}">{name}</text>')
    return parts
