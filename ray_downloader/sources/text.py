"""Turns a text list into a table: detects how to read it, and makes a readable copy if the original cannot be read so.

The decisions are in `dialect.py`; this module opens files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ray_downloader.errors import UserError
from ray_downloader.sources.dialect import Reading, Row, TextRules, is_confirmed, one_column, read_sample
from ray_downloader.sources.encoding import Utf8Text
from ray_downloader.sources.lines import blank_lines, tidy_copy
from ray_downloader.sources.meta import TableDescription
from ray_downloader.sources.quotes import with_sound_quotes
from ray_downloader.sources.tables import Evidence, LinePlaces, Table, TextFormat, numbered
from ray_downloader.sources.unpack import Scratch
from ray_downloader.sources.url_text import is_known_name, is_url, may_be_name, names_image

#: How much is sampled: the beginning, where a header is (GBIF's occurrence.txt: 4 kB), and places further on.
_HEAD_SIZE_BYTES = 1 << 18
_WINDOW_SIZE_BYTES = 1 << 16
_WINDOWS = 3
_MAX_LINES = 1000

#: How many lines above the header are looked at.
_MAX_TITLE_LINES = 30
#: Delimiters of several characters that are tried if no other fits; each is read as `_LONG_MARK`.
_LONG_DELIMITERS = ("::", "|~|", "~|~", "<>", "##")
_LONG_MARK = "\x1f"

#: Separates the URL of a row from its mirrors.
MIRROR_MARK = "\x1e"

_SEPARATOR_LINE = re.compile(r'^\ufeff?"?sep=(.)"?$', re.IGNORECASE)
_OPTION_LINE = re.compile(r"[ \t]+[a-z][a-z0-9-]*=")
_ID_AND_URL = re.compile(r"\s*([^\s,;|]+)[ \t]+((?:https?:)?//\S.*)", re.IGNORECASE)
_URL_AND_REST = re.compile(
    r"\s*(https?://\S+\.(?:jpe?g|png|gif|tiff?|webp|bmp)(?:\?\S*)?)[ \t]+((?!https?://)\S.*)", re.I
)
#: A URL of the IIIF Image API, whose region and size may contain commas, which some lists do not quote.
_IIIF = re.compile(
    r"(?<![^,])(https?://[^\s\",]+/(?:full|square|pct:[\d.,]+|\d+,\d+,\d+,\d+)/\^?!?(?:full|max|pct:[\d.]+|\d*,\d*)"
    r"/!?[\d.]+/(?:default|native|color|gr[ae]y|bitonal)\.[a-z0-9]+)(?=,|$)",
    re.IGNORECASE,
)
_MARKS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "vertical bar", " ": "blanks", "\x01": "Ctrl-A"}


@dataclass(frozen=True, slots=True)
class _Form:
    """How a text is read, and what must be done to its lines first."""

    reading: Reading
    edit: Callable[[int, str], str] | None = None
    has_mirrors: bool = False
    delimiter_shown: str = ""
    title_lines: int = 0


def read_text_table(text: Utf8Text, shown: str, ending: str, rules: TextRules, scratch: Scratch) -> Table | None:
    """The table in a UTF-8 text file, or None if it has no row.

    Args:
        text: The file.
        shown: The name by which the user knows it.
        ending: `.txt`, `.csv` or `.tsv`: what its name implies about quoting.
        rules: What is known about it.
        scratch: Where copies go.
    """
    lines = sample_lines(text.path)
    if not any(line.strip("\x1a \t") for line in lines):
        return None
    form = _form(lines, ending, rules)
    if form.reading.broken_header:
        form = replace(form, edit=_with_header(form.reading, form.edit))
    path = _tidied(text, form, scratch)
    reading = form.reading
    header_at = next((number for number, line in enumerate(sample_lines(path)) if line.strip()), 0)
    skipped = header_at + int(reading.has_header)
    layout = TextFormat(reading.delimiter, reading.quote, skipped, reading.escape, form.has_mirrors)
    names = _names(reading) if reading.has_header else rules.headerless.get(reading.columns, numbered(reading.columns))
    read_as = (
        text.encoding,
        form.delimiter_shown or _delimiter_words(reading),
        _quote_words(reading),
        _header_words(form),
    )
    table = Table(path, shown, names, layout, (), _evidence(reading.data, reading.columns), read_as)
    return with_places(table, text, scratch)


def described_text_table(text: Utf8Text, shown: str, description: TableDescription, scratch: Scratch) -> Table | None:
    """The table in a text file (UTF-8) of an archive, read as its descriptor says; None if it has no row.

    Names come from the descriptor, or from the header row for columns that the descriptor does not name.

    Raises:
        UserError: File and descriptor contradict each other.
    """
    delimiter, quote = description.delimiter, description.quote
    if len(quote) > 1:
        raise UserError(f"meta.xml says that cells of {shown} are enclosed by {quote!r}, not by one character")
    edit: Callable[[int, str], str] | None = None
    if len(delimiter) > 1:
        edit = _long_form([""], delimiter, TextRules()).edit
        delimiter, quote = _LONG_MARK, ""
    is_copied = edit is not None or text.census.is_untidy
    path = tidy_copy(text.path, scratch.new_path(text.path.name), edit) if is_copied else text.path
    lines = sample_lines(path)
    if not any(line.strip() for line in lines):
        return None
    rules = TextRules(bool(description.header_lines), delimiter=delimiter, quote=quote)
    filled = [line for line in lines if line.strip()]
    reading = read_sample(filled[max(description.header_lines - 1, 0) :] or filled, ".csv", rules)
    if reading.broken_header:
        path = tidy_copy(path, scratch.new_path(path.name), _with_header(reading, None))
    header = next((row for row in reading.rows if row is not None), ())
    beyond = [name for index, name in description.names.items() if index >= len(header)]
    if beyond:
        raise UserError(f"meta.xml names the column {beyond[0]} of {shown}, which has only {len(header)} columns")
    names = tuple(name.strip() for name in header) if description.header_lines else numbered(len(header))
    columns = tuple(description.names.get(index, name) for index, name in enumerate(names))
    layout = TextFormat(delimiter, quote, description.header_lines)
    read_as = (text.encoding, _delimiter_words(reading), _quote_words(reading), "columns as meta.xml says")
    return with_places(Table(path, shown, columns, layout, (), (), read_as), text, scratch)


def with_places(table: Table, text: Utf8Text, scratch: Scratch) -> Table | None:
    """The table with sound quotes and known places of its rows; None if it has no row."""
    assert table.text is not None, "only called for text"
    path, continued = table.path, None
    if table.text.quote:
        sound = with_sound_quotes(path, table.text, len(table.columns), scratch.new_path(path.name))
        path, continued = sound.path, sound.continued
    if path == text.path and text.census.blanks == 0:
        passed_over, lines = np.empty(0, np.int64), text.census.lines
    else:
        passed_over, lines = blank_lines(path)
    if continued:
        passed_over = np.union1d(passed_over, np.frombuffer(continued, np.int64))
    first = _first_line(table.text, passed_over)
    if lines - first <= np.count_nonzero(passed_over >= first):
        return None
    return replace(table, path=path, places=LinePlaces(lines, first, passed_over))


def _first_line(text: TextFormat, passed_over: npt.NDArray[np.int64]) -> int:
    """The line after those that are skipped; a quoted header may span several of them."""
    line = text.skip_lines
    continued = set(passed_over[: line + 64].tolist())
    blanks_before = len([number for number in range(line) if number in continued])
    rows = line - blanks_before
    number = 0
    while rows or number in continued:
        rows -= number not in continued
        number += 1
    return number


def sample_lines(path: Path) -> list[str]:
    """Lines of the beginning and of some places further on, without their ends; the file's last line may be cut off."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        parts = [_whole_lines(file.read(_HEAD_SIZE_BYTES), size > _HEAD_SIZE_BYTES)]
        for window in range(1, _WINDOWS + 1) if size > 4 * _HEAD_SIZE_BYTES else ():
            file.seek(size * window // (_WINDOWS + 1))
            parts.append(_whole_lines(file.read(_WINDOW_SIZE_BYTES), True)[1:])
    head, *windows = parts
    share = _MAX_LINES // 4
    return [*head[:_MAX_LINES], *(line for window in windows for line in window[:share])]


def _whole_lines(block: bytes, is_cut: bool) -> list[str]:
    lines = block.decode("utf-8", "replace").removeprefix("\ufeff").split("\n")
    last = lines.pop()
    return [line.rstrip("\r") for line in ([*lines, last] if last and (not is_cut or not lines) else lines)]


def _form(lines: Sequence[str], ending: str, rules: TextRules) -> _Form:
    """How the text is read: as one of the forms that are not tables of cells, or by its delimiter."""
    lines = [line.rstrip("\x1a") for line in lines]
    if found := _SEPARATOR_LINE.match(lines[0]):
        rest = _form([*lines[1:], ""], ending, replace(rules, delimiter=rules.delimiter or found[1]))
        return replace(rest, edit=_without_first(rest.edit, 1), title_lines=rest.title_lines and rest.title_lines + 1)
    if above := _title_lines(lines, ending, rules):
        rest = _form([*lines[above:], ""], ending, rules)
        return replace(rest, edit=_without_first(rest.edit, above), title_lines=above)
    filled = [line for line in lines if line.strip()]
    rows = [line for line in filled if not line.lstrip().startswith("#")] or filled
    return _special_form(rows, ending, rules) or _cells_form(filled, rows, ending, rules)


def _special_form(rows: Sequence[str], ending: str, rules: TextRules) -> _Form | None:
    """One of the forms that are not tables of cells between one character; None if it is none of them."""
    if rules.delimiter and len(rules.delimiter) > 1:
        return _long_form(rows, rules.delimiter, rules)
    if rules.delimiter in {None, " "} and (form := _blank_form(rows, rules) or _mirrors_form(rows, rules)):
        return form
    if any(found.start() and "," in found[0] for row in rows if (found := _IIIF.search(row))):
        return _Form(read_sample([_IIIF.sub(r'"\1"', row) for row in rows], ending, rules), _with_quoted_iiif)
    return None


def _cells_form(filled: Sequence[str], rows: Sequence[str], ending: str, rules: TextRules) -> _Form:
    """Cells by the delimiter that fits; `rows` are the filled lines that are not comments."""
    reading = read_sample(rows, ending, rules)
    if reading.columns == 1 and rules.delimiter is None:
        long = [_long_form(rows, mark, rules) for mark in _LONG_DELIMITERS if mark in rows[0]]
        if good := [form for form in long if is_confirmed(form.reading)]:
            return good[0]
    if len(rows) == len(filled):
        return _Form(reading)
    if reading.columns > 1:
        kept = [line for line in filled if not line.lstrip().startswith("#") or _has_cells(line, reading)]
        reading = read_sample(kept, ending, rules)
    return _Form(reading, _without_comments(reading))


def _title_lines(lines: Sequence[str], ending: str, rules: TextRules) -> int:
    """How many lines are above the header: a title, a date, comments, as exports of databases and sheets have them.

    They have fewer cells than the header, or are comments, and the header has a well-known name.
    """
    places = [index for index, line in enumerate(lines[: _MAX_TITLE_LINES + 1]) if line.strip()]
    if rules.has_header is False or (rules.delimiter and len(rules.delimiter) > 1):
        return 0
    for mark in (rules.delimiter,) if rules.delimiter else "\t,;|":
        at = next((index for index in places if _may_be_header(lines[index], mark)), 0)
        after = next((index for index in places if index > at), at)
        if _is_comment(lines[at]) and _may_be_header(lines[after], mark):
            at = after
        if at <= places[0]:
            continue
        below = [line for line in lines[at:] if line.strip()]
        reading = read_sample(below, ending, rules)
        above = [lines[index] for index in places if index < at]
        width = sum(bool(cell.strip()) for cell in lines[at].split(mark))
        if (
            reading.delimiter == mark
            and is_confirmed(reading)
            and all(_is_comment(line) or sum(bool(cell.strip()) for cell in line.split(mark)) < width for line in above)
        ):
            return at
    return 0


def _may_be_header(line: str, mark: str) -> bool:
    cells = [cell for cell in line.split(mark) if cell.strip()]
    return len(cells) > 1 and all(map(may_be_name, cells)) and any(map(is_known_name, cells))


def _is_comment(line: str) -> bool:
    return line.lstrip(' \t"').startswith(("#", "//", "--", "%"))


def _long_form(rows: Sequence[str], delimiter: str, rules: TextRules) -> _Form:
    """Cells split by several characters, which readers of CSV do not support: they become one control character."""

    def edit(_: int, line: str) -> str:
        return line.replace(delimiter, _LONG_MARK)

    reading = read_sample([edit(0, row) for row in rows], ".csv", replace(rules, delimiter=_LONG_MARK, quote=""))
    return _Form(reading, edit, delimiter_shown=repr(delimiter))


def _blank_form(rows: Sequence[str], rules: TextRules) -> _Form | None:
    """`id URL` or `URL label`, separated by blanks: the first blanks become a tab."""
    for pattern in (_ID_AND_URL, _URL_AND_REST):
        found = [pattern.fullmatch(row) for row in rows]
        if sum(map(bool, found)) < 0.9 * len(rows) or all("\t" in row.strip() for row in rows):
            continue
        cut = ["\t".join(match.groups()) if match else row for match, row in zip(found, rows, strict=True)]

        def edit(_: int, line: str, pattern: re.Pattern[str] = pattern) -> str:
            match = pattern.fullmatch(line)
            if match is None and line.lstrip().startswith("#"):
                return ""
            return "\t".join(match.groups()) if match else line

        reading = read_sample(cut, ".txt", replace(rules, delimiter="\t", quote=""))
        return _Form(reading, edit, delimiter_shown="blanks")
    return None


def _mirrors_form(rows: Sequence[str], rules: TextRules) -> _Form | None:
    """aria2's input: options on indented lines, and several URLs of one file per line."""
    urls = [row for row in rows if not _OPTION_LINE.match(row)]
    has_options = len(urls) < len(rows)
    has_mirrors = any("\t" in row.strip() and all(map(is_url, row.split())) for row in urls)
    cells = [cell for row in urls for cell in row.strip().split("\t")]
    if not (has_options or has_mirrors) or not urls or not all(map(is_url, cells)):
        return None

    def edit(_: int, line: str) -> str:
        if _OPTION_LINE.match(line) or line.lstrip().startswith("#"):
            return ""
        return MIRROR_MARK.join(line.split("\t"))

    shown = "aria2 input, URLs of one line are mirrors" if has_options else "URLs of one line are mirrors"
    return _Form(one_column([edit(0, row) for row in urls], rules), edit, True, shown)


def _with_quoted_iiif(_: int, line: str) -> str:
    return _IIIF.sub(r'"\1"', line)


def _without_first(edit: Callable[[int, str], str] | None, lines: int) -> Callable[[int, str], str]:
    return lambda number, line: "" if number < lines else edit(number - lines, line) if edit else line


def _with_header(reading: Reading, edit: Callable[[int, str], str] | None) -> Callable[[int, str], str]:
    """Removes the quotes of a header in which they are broken: they would swallow rows, and its names need none."""

    def edited(number: int, line: str) -> str:
        if line.lstrip("\ufeff") == reading.broken_header:
            return line.replace(reading.quote, "")
        return edit(number, line) if edit else line

    return edited


def _without_comments(reading: Reading) -> Callable[[int, str], str]:
    def edit(_: int, line: str) -> str:
        is_comment = line.lstrip().startswith("#") and not _has_cells(line, reading)
        return "" if is_comment and not (reading.quote and reading.quote in line) else line

    return edit


def _has_cells(line: str, reading: Reading) -> bool:
    return reading.columns > 1 and line.count(reading.delimiter) == reading.columns - 1


def _tidied(text: Utf8Text, form: _Form, scratch: Scratch) -> Path:
    if form.edit is None and not text.census.is_untidy:
        return text.path
    edit = form.edit or (_stripped if form.reading.columns == 1 else None)
    return tidy_copy(text.path, scratch.new_path(text.path.name), edit)


def _stripped(_: int, line: str) -> str:
    return line.strip()


def _names(reading: Reading) -> tuple[str, ...]:
    """Names from the header, one per column: R names all but its row names, spreadsheets drop empty cells."""
    header = [cell.strip().lstrip("#").strip() for cell in reading.rows[0] or ()]
    surplus = reading.columns - len(header)
    if surplus == 1 and any(row[-1].strip() for row in reading.data if len(row) == reading.columns):
        return ("row_name", *header)
    given = (*header[: reading.columns], *(numbered(reading.columns)[len(header) :] if surplus > 0 else ()))
    return tuple(name or f"column{index + 1}" for index, name in enumerate(given))


def _evidence(rows: Sequence[Row], columns: int) -> tuple[Evidence, ...]:
    fitting = [row for row in rows if len(row) == columns]
    return tuple(evidence_of([row[column] for row in fitting]) for column in range(columns))


def evidence_of(cells: Sequence[str]) -> Evidence:
    """What the cells of a column look like."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    if not filled:
        return Evidence()
    urls = sum(map(is_url, filled)) / len(filled)
    images = sum(is_url(cell) and names_image(cell) for cell in filled) / len(filled)
    is_id = not urls and len(set(filled)) == len(filled) and not any(re.search(r"\s", cell) for cell in filled)
    return Evidence(urls, images, float(is_id))


def _delimiter_words(reading: Reading) -> str:
    return _MARKS.get(reading.delimiter, repr(reading.delimiter)) if reading.columns > 1 else "one column"


def _header_words(form: _Form) -> str:
    if form.title_lines:
        lines = "1 line" if form.title_lines == 1 else f"{form.title_lines} lines"
        return f"{lines} above the header skipped"
    return "first row is the header" if form.reading.has_header else "no header"


def _quote_words(reading: Reading) -> str:
    if not reading.quote:
        return "no quotes"
    words = "double quotes" if reading.quote == '"' else f"quotes {reading.quote}"
    return words if reading.escape in {"", reading.quote} else f"{words} escaped by {reading.escape}"
