"""What the site has beside `docs/`: the README as its first page, the changelog, and the figures of benchmarks.

Links between these files are written as they are in the repository; here they are turned to where the pages are.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
_DOCS = "docs/"
_LINK = re.compile(r"(\]\()([^)#\s:]+)((?:#[^)\s]*)?\))")
_FOLDERS = {"benchmarks": "benchmarks", "decisions": "docs/decisions"}
_ELSEWHERE = ("README.md", "CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md", "LICENSE")


def on_config(config: Any) -> Any:
    """Put all pages of the folders that the navigation names into it, and pages that it does not name at its end."""
    for section in config.nav:
        for title, entries in section.items():
            section[title] = [_expanded(entry) for entry in entries if _exists(entry)]
    named = {page for section in config.nav for entries in section.values() for entry in entries for page in _of(entry)}
    others = sorted(path.name for path in (ROOT / _DOCS).glob("*.md") if path.name not in named)
    if others:
        config.nav.append({"More": others})
    return config


def _of(entry: dict[str, Any]) -> list[str]:
    (place,) = entry.values()
    return place if isinstance(place, list) else [place]


def _expanded(entry: dict[str, str]) -> dict[str, Any]:
    ((title, place),) = entry.items()
    if place not in _FOLDERS:
        return entry
    folder = ROOT / _FOLDERS[place]
    pages = sorted(path for path in folder.rglob("*.md") if _is_shown(path, folder))
    return {title: [f"{place}/{path.relative_to(folder).as_posix()}" for path in pages]}


def _exists(entry: dict[str, str]) -> bool:
    (place,) = entry.values()
    return place in _FOLDERS or (ROOT / _DOCS / place).exists() or (ROOT / place).exists()


def on_files(files: Files, config: Any) -> Files:
    """Add the pages and pictures from outside `docs/`."""
    outside = [ROOT / name for name in _ELSEWHERE]
    outside += [path for path in sorted((ROOT / "benchmarks").rglob("*")) if _is_shown(path, ROOT / "benchmarks")]
    outside += [path for path in sorted((ROOT / "examples").iterdir()) if path.is_file()]
    for path in outside:
        uri = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, uri if path.suffix else f"{uri}.txt", abs_src_path=str(path)))
    return files


def _is_shown(path: Path, folder: Path) -> bool:
    inner = path.relative_to(folder).parts
    return path.suffix in {".md", ".svg", ".png"} and inner[0] != "work"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of a page."""
    return _LINK.sub(lambda found: f"{found[1]}{_turned(found[2], page.file.src_uri)}{found[3]}", markdown)


def _turned(link: str, uri: str) -> str:
    """Where a link of the repository leads on the site; links to code stay text that leads to the architecture."""
    if link.startswith(("/", "<")):
        return link
    is_outside = uri.startswith("benchmarks/") or uri in _ELSEWHERE
    source = uri if is_outside else _DOCS + uri
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    path = ROOT / target
    if path.is_dir():
        target = posixpath.join(target, "README.md") if (path / "README.md").exists() else target
    on_site = target.removeprefix(_DOCS)
    if on_site == "LICENSE":
        on_site = "LICENSE.txt"
    return posixpath.relpath(on_site, posixpath.dirname(uri) or ".")
