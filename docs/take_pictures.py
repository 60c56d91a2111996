"""Takes the pictures of the documents from a real run of the demo: `python docs/take_pictures.py FOLDER`.

FOLDER is a new folder for the run. Needs playwright and Debian's chromium (`pip install -e .[browser]`).
"""

from __future__ import annotations

import io
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI

PICTURES = Path(__file__).parent / "pictures"
PYTHON = [sys.executable, "-m"]


def status_of_a_run(out: Path) -> str:
    """What `status` printed during the run: the last time that a server waited, else the last time at all."""
    run = [*PYTHON, "ray_downloader", "+experiment=demo", f"path_to_output={out}"]
    texts: list[str] = []
    with subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            time.sleep(1)
            shown = subprocess.run(
                [*PYTHON, "ray_downloader.status", str(out)], capture_output=True, text=True, check=False
            )
            if "running (download)" in shown.stdout and "images/s" in shown.stdout:
                texts.append(shown.stdout)
    waiting = [text for text in texts if "waits" in text]
    return (waiting or texts)[-1]


def save_terminal(command: str, text: str, path: Path) -> None:
    """A picture of a terminal, as SVG."""
    console = Console(record=True, width=112, file=io.StringIO(), force_terminal=True)
    console.print(f"[bold green]$[/] {command}")
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        console.print(f"[bold cyan]{name}[/] {rest}", highlight=False)
    path.write_text(console.export_svg(title=command, theme=MONOKAI), "utf-8")


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
    text = status_of_a_run(folder)
    save_terminal("python -m ray_downloader.status demo-out", text, PICTURES / "status.svg")
    save_report(folder, PICTURES / "report.png", "light")
