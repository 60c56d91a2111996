"""Takes the pictures of the documents from a real run of the demo: `python docs/take_pictures.py FOLDER`.

FOLDER is a new folder for the run. Needs tmux, playwright and Debian's chromium (`pip install -e .[browser]`).
"""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PICTURES = Path(__file__).parent / "pictures"
COLUMNS, LINES = 108, 24
_SESSION = "ray_downloader_pictures"


def screens_of_a_run(out: Path) -> tuple[str, str]:
    """The terminal while servers wait, with its colours; and what `status` printed at the same time."""
    python = [sys.executable, "-m"]
    run = [*python, "ray_downloader", "+experiment=demo", f"path_to_output={out}"]
    size = ["-x", str(COLUMNS), "-y", str(LINES)]
    _tmux("new-session", "-d", "-s", _SESSION, *size, f"{shlex.join(run)} 2>&1")
    seen: list[tuple[str, str]] = []
    while not subprocess.run(["tmux", "has-session", "-t", _SESSION], capture_output=True, check=False).returncode:
        time.sleep(1)
        try:
            screen = _tmux("capture-pane", "-e", "-p", "-t", _SESSION)
        except subprocess.CalledProcessError:
            break  # the run has ended
        status = [*python, "ray_downloader.status", str(out)]
        text = subprocess.run(status, capture_output=True, text=True, check=False).stdout
        if "slowest servers" in screen and "running (download)" in text:
            seen.append((screen, text))
    waiting = [each for each in seen if "waits" in each[1]] or seen
    return max(waiting, key=lambda each: each[0].count("until") + each[1].count("waits"))


def _tmux(*arguments: str) -> str:
    return subprocess.run(["tmux", *arguments], capture_output=True, text=True, check=True).stdout


def save_terminal(title: str, text: Text, path: Path) -> None:
    """A picture of a terminal, as SVG that loads no font."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(text)
    svg = console.export_svg(title=title, theme=MONOKAI)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", "utf-8")


def view_of(screen: str) -> Text:
    """The live view at the end of a screen, without the log above it."""
    lines = Text.from_ansi(screen.rstrip()).split()
    first = max(number for number, line in enumerate(lines) if re.search(r"[\d,]+ of [\d,]+ rows +\d+ %", line.plain))
    return Text("\n").join(lines[first:])


def save_report(out: Path, path: Path, scheme: str) -> None:
    """A picture of the report's first screen, with few colours, as PNG."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 1060}, color_scheme=scheme)
        page.goto((out / "report.html").as_uri())
        page.locator("#table .name button").first.click()
        page.screenshot(path=path)
        browser.close()
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    live, status = screens_of_a_run(folder)
    save_terminal("ray-downloader +experiment=demo", view_of(live), PICTURES / "live.svg")
    save_terminal("python -m ray_downloader.status demo-out", Text(status.rstrip()), PICTURES / "status.svg")
    save_report(folder, PICTURES / "report.png", "light")
