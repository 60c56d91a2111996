"""Lists of random dialects, of which the truth is known: every row is accepted whole, or rejected with its own line."""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.lists import partitioned

pytestmark = pytest.mark.stage

_WORDS = [
    "a cat",
    "plain",
    "the 6' 2\" keeper",
    "x, y; z",
    "naïve Größe",
    "a|b",
    "two\nlines",
    "tail\\",
    "№",
    "# no",
    "",
]
_CP1252 = [word for word in _WORDS if word != "№"]


@dataclass(frozen=True)
class Dialect:
    """How a list is written."""

    delimiter: str
    line_end: str
    encoding: str
    has_header: bool
    quoting: int
    has_last_end: bool
    blank_lines: int


@dataclass(frozen=True)
class Truth:
    """What is in a list: accepted rows (id, URL, title), and rejected ones (reason, line)."""

    text: bytes
    accepted: list[tuple[str, str, str | None]]
    rejected: list[tuple[str, int]]


DIALECTS = st.builds(
    Dialect,
    delimiter=st.sampled_from(",;\t|"),
    line_end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    has_header=st.booleans(),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    has_last_end=st.booleans(),
    blank_lines=st.integers(0, 2),
)


def write(dialect: Dialect, rows: int, seed: int) -> Truth:
    """A list of `rows` good rows and some bad ones."""
    rng = random.Random(seed)
    words = _CP1252 if dialect.encoding == "cp1252" else _WORDS
    lines: list[str] = [""] * dialect.blank_lines
    accepted: list[tuple[str, str, str | None]] = []
    rejected: list[tuple[str, int]] = []

    def put(cells: list[str]) -> int:
        first = sum(line.count("\n") + 1 for line in lines) + 1
        text = io.StringIO()
        csv.writer(text, delimiter=dialect.delimiter, quoting=dialect.quoting, lineterminator="\n").writerow(cells)
        lines.append(text.getvalue().removesuffix("\n"))
        return first

    if dialect.has_header:
        put(["source_id", "url", "title"])
    for number in range(rows):
        identifier = f"id{number}"
        url = f"http://h{rng.randrange(3)}.example.org/{number}.jpg" + rng.choice(["", "?a=1,2", "?x;y", "?q|r"])
        title = rng.choice(words)
        put([identifier, url, title])
        accepted.append((identifier, url, title.strip() or None))
        if rng.random() < 0.2:
            cells, reason = rng.choice(
                [
                    ([f"bad{number}", "", "x"], "no_identifier"),
                    ([f"bad{number}", "ftp://a.example/x", "x"], "bad_url"),
                    ([f"bad{number}", url, "x", "surplus"], "unparsable_line"),
                    ([f"bad{number}"], "unparsable_line"),
                ]
            )
            rejected.append((reason, put(cells)))
        if rng.random() < 0.1:
            lines.append("")
    whole = "\n".join(lines) + ("\n" if dialect.has_last_end else "")
    return Truth(whole.replace("\n", dialect.line_end).encode(dialect.encoding), accepted, rejected)


@settings(max_examples=20)
@given(DIALECTS, st.integers(6, 60), st.integers(0, 10_000), st.sampled_from([".csv", ".tsv", ".txt"]))
@example(Dialect("\t", "\r\n", "cp1252", True, csv.QUOTE_MINIMAL, False, 2), 40, 1, ".csv")
@example(Dialect(",", "\n", "utf-8", False, csv.QUOTE_MINIMAL, True, 0), 40, 2, ".csv")
@example(Dialect(",", "\n", "utf-8", False, csv.QUOTE_MINIMAL, False, 0), 6, 0, ".tsv")
def test_every_row_is_accepted_whole_or_rejected_with_its_line(
    tmp_path_factory: pytest.TempPathFactory, dialect: Dialect, rows: int, seed: int, ending: str
) -> None:
    truth = write(dialect, rows, seed)
    folder = tmp_path_factory.mktemp("dialect")
    path = folder / f"list{ending}"
    path.write_bytes(truth.text)
    columns = {} if dialect.has_header else {"columns": {"title": "column3"}}
    result = partitioned(path, folder / "out", columns)
    found = [(row["source_id"], row["identifier"], row["title"]) for row in result.rows()]
    ends = {key: (None if title is None else title.replace("\r\n", "\n")) for key, _, title in found}
    assert sorted((key, url, ends[key] or "") for key, url, _ in found) == sorted(
        (key, url, title or "") for key, url, title in truth.accepted
    )
    assert sorted((row["reason"], row["line"]) for row in result.rejected()) == sorted(truth.rejected)
    assert result.summary.input_rows == len(truth.accepted) + len(truth.rejected)
