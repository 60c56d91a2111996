"""The table `staged`: what a source's SQL makes of the cells, of media, companions and cores, and what is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.errors import UserError
from ray_downloader.partition.database import open_database
from ray_downloader.partition.row_uuid import ROW_UUID_MACRO, row_uuid
from ray_downloader.partition.stage import FIRST_URLS, Reading, Staged, first_urls, stage_rows
from ray_downloader.sources.base import Column, Companion, RejectRule, Source, VariantRows
from ray_downloader.sources.tables import LinePlaces, MediaInput, Table, TextFormat

CSV = TextFormat(",", '"', 1)
PLAIN = Source(
    {"identifier": Column(("url",), required=True), "source_id": Column(("id",)), "license": Column(("license",)),
     "title": Column(("title",))},
    (RejectRule("no_source_id", "source_id IS NULL"), RejectRule("no_url", "identifier IS NULL")),
    missing_hint="look at the list",
)  # fmt: skip
OF_ARCHIVE = Companion(
    ("occurrence",), {"core_id": Column(("id",)), "license": Column(("license",)), "basis": Column(("basis",))},
    match="source_id", label="upper(basis)",
)  # fmt: skip

NONE = np.empty(0, np.int64)

MakeTable = Callable[..., Table]


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1, "preserve_insertion_order": False}) as connection:
        connection.execute(ROW_UUID_MACRO)
        yield connection


@pytest.fixture
def table(tmp_path: Path) -> MakeTable:
    """Writes a text whose first line has the names of the columns, and describes it."""

    def make(name: str, content: str, **facts: Any) -> Table:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
        return Table(path, name, tuple(content.partition("\n")[0].split(",")), CSV, **facts)

    return make


def staged(database: duckdb.DuckDBPyConnection, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    return database.execute(f"SELECT {columns} FROM staged WHERE {where} ORDER BY ALL").fetchall()


def stage(
    database: duckdb.DuckDBPyConnection,
    source: Source,
    inputs: Sequence[MediaInput | Table],
    overrides: Mapping[str, tuple[str, ...]] | None = None,
    kept: Sequence[str] = (),
) -> Staged:
    given = [one if isinstance(one, MediaInput) else MediaInput(one) for one in inputs]
    return stage_rows(database, [Reading(source, given)], overrides, kept)


def test_the_first_rule_that_is_true_decides_and_every_row_is_staged(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    content = "id,url,title\n1,http://a/1,one\n,http://a/2,two\n3,,three\n,,none\n"
    told = stage(database, PLAIN, [table("a.csv", content)])
    assert staged(database, "source_id, identifier, title, reason") == [
        ("1", "http://a/1", "one", None),
        ("3", None, "three", "no_url"),
        (None, "http://a/2", "two", "no_source_id"),
        (None, None, "none", "no_source_id"),
    ]
    assert told.read_as == ["a.csv read as: URL in column url, id in column id"]


def test_the_origin_of_a_url_is_what_its_server_depends_on(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    content = "id,url\n1,http://A.org:81/x?y#z\n2,https://b.org\n3,http://u:p@c.org\\d\n"
    stage(database, PLAIN, [table("a.csv", content)])
    assert staged(database, "origin") == [("http://A.org:81",), ("http://u:p@c.org\\d",), ("https://b.org",)]


@pytest.mark.parametrize(
    ("stated", "rows"),
    [
        (None, [("1", "CC0", "media"), ("2", "BY", "occurrence"), ("3", None, None)]),
        ("SA", [("1", "CC0", "media"), ("2", "BY", "occurrence"), ("3", "SA", "dataset")]),
    ],
    ids=["nothing stated", "stated for all"],
)
def test_a_licence_is_the_rows_then_that_of_its_companion_then_what_is_stated(
    database: duckdb.DuckDBPyConnection, table: MakeTable, stated: str | None, rows: list[tuple[Any, ...]]
) -> None:
    source = Source(PLAIN.columns, (), companion=OF_ARCHIVE, stated_license=stated)
    media = table("m.csv", "id,url,license\n1,http://a/1,CC0\n2,http://a/2,\n3,http://a/3,\n", scope="A")
    occurrences = table("o.csv", "id,license,basis\n1,BY,x\n2,BY,x\n3,,x\n", scope="A")
    stage(database, source, [MediaInput(media, (occurrences,))])
    assert staged(database, "source_id, license, license_from") == rows


def test_the_companion_of_an_archive_labels_its_rows_and_lends_its_columns(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    source = Source(
        PLAIN.columns, (RejectRule("cited", "companion_label = 'CITED'"),), companion=OF_ARCHIVE
    )  # fmt: skip
    inputs = [
        MediaInput(
            table(f"{name}/m.csv", "id,url,country\n1,http://a/1,DE\n2,http://a/2,FR\n", scope=name),
            (table(f"{name}/o.csv", f"id,basis,key\n1,{basis},k1\n2,seen,k2\n", scope=name),),
        )
        for name, basis in (("A", "cited"), ("B", "seen"))
    ]
    stage(database, source, inputs, kept=("key", "country"))
    columns = "file LIKE '%A/m.csv', source_id, reason, kept_0, kept_1"
    assert staged(database, columns) == [
        (False, "1", None, "k1", "DE"),
        (False, "2", None, "k2", "FR"),
        (True, "1", "cited", "k1", "DE"),
        (True, "2", None, "k2", "FR"),
    ]


def test_rows_that_are_joined_keep_the_numbers_of_their_lines(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    """A join does not preserve the order of rows, on which the numbers of lines depend."""
    source = Source(PLAIN.columns, (), companion=OF_ARCHIVE)
    rows = 3_000
    lines = "".join(f"{number},http://a/{number}\n" for number in range(rows))
    media = table("m.csv", f"id,url\n{lines}", scope="A", places=LinePlaces(rows + 1, 1, NONE))
    others = "".join(f"{number},x\n" for number in reversed(range(0, rows, 3)))
    before = table("b.csv", "id,url\nfirst,http://b/1\n", scope="B")
    inputs = [MediaInput(before), MediaInput(media, (table("o.csv", f"id,basis\n{others}", scope="A"),))]
    lines_of = stage(database, source, inputs).lines
    found = staged(database, "source_id::INT, file, row_number", "file LIKE '%m.csv'")
    assert [number for number, _, _ in found] == list(range(rows))
    filled = lines_of.fill([file for _, file, _ in found], [row for _, _, row in found], [None] * rows)
    assert filled == [number + 2 for number in range(rows)]


def test_rows_of_a_text_without_companions_are_found_by_their_order(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    first = table("a.csv", "id,url\n1,http://a/1\n2,http://a/2\n", places=LinePlaces(3, 1, NONE))
    second = table("b.csv", "id,url,title\n3,http://a/3,x\n", places=LinePlaces(2, 1, NONE))
    told = stage(database, PLAIN, [first, second])
    found = staged(database, "rowid, source_id, file, row_number")
    assert [(row, name) for row, name, _, _ in found] == [(0, "1"), (1, "2"), (2, "3")]
    assert {number for _, _, _, number in found} == {None}
    rows = [row for row, _, _, _ in found]
    assert told.lines.fill([file for _, _, file, _ in found], rows, [None] * 3) == [2, 3, 2]


def test_tables_that_look_alike_are_read_together_and_others_apart(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    parts = [table(f"part-{number}.csv", f"id,url\n{number},http://a/{number}\n") for number in range(3)]
    other = table("z.csv", "url,id\nhttp://a/9,9\n")
    told = stage(database, PLAIN, [*parts, other])
    assert [sentence.partition(" read")[0] for sentence in told.read_as] == ["part-0.csv and 2 like it", "z.csv"]
    assert [name for (name,) in staged(database, "source_id")] == ["0", "1", "2", "9"]


def test_what_a_descriptor_states_fills_empty_cells_and_missing_columns(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    stated = (("license", "CC0"), ("title", "untitled"))
    stage(database, PLAIN, [table("m.csv", "id,url,title\n1,http://a/1,\n2,http://a/2,mine\n", defaults=stated)])
    assert staged(database, "source_id, title, license") == [("1", "untitled", "CC0"), ("2", "mine", "CC0")]


def test_derived_roles_see_those_before_them_and_which_columns_are_missing(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    source = Source(
        PLAIN.columns,
        (RejectRule("untitled", "lacks_title AND shout = 'X!'"),),
        values={"creator": "shout"},
        derived={"shout": "upper(source_id) || '!'", "lacks_title": "list_contains(missing_columns, 'title')"},
    )
    stage(database, source, [table("m.csv", "id,url\nx,http://a/1\ny,http://a/2\n")])
    assert staged(database, "source_id, creator, reason") == [("x", "X!", "untitled"), ("y", "Y!", None)]


def test_columns_named_by_the_user_replace_those_of_the_source(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    made = table("m.csv", "id,url,better,md5\n1,http://a/1,http://b/1,0CC175B9C0F1B6A831C399E269772661\n")
    stage(database, PLAIN, [made])
    assert staged(database, "identifier, checksum") == [("http://a/1", None)]
    stage(database, PLAIN, [made], {"identifier": ("better",), "md5": ("md5",)})
    assert staged(database, "identifier, checksum") == [("http://b/1", "md5:0cc175b9c0f1b6a831c399e269772661")]


def test_a_missing_column_is_said_with_the_hint_of_the_dataset(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    with pytest.raises(UserError, match=r"m\.csv has no column 'url'; its columns are: id, link \(look at the list\)"):
        stage(database, PLAIN, [table("m.csv", "id,link\n1,http://a/1\n")])


def test_a_medium_that_several_tables_of_an_archive_list_counts_once(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    content = "id,url\n1,http://a/1\n1,http://a/2\n"
    places = (("A", "m"), ("A", "n"), ("B", "m"))
    tables = [table(f"{archive}/{name}.csv", content, scope=archive) for archive, name in places]
    stage(database, PLAIN, tables)
    assert staged(database, "regexp_extract(file, '[AB]/..csv'), identifier, reason") == [
        ("A/m.csv", "http://a/1", None),
        ("A/m.csv", "http://a/2", None),
        ("A/n.csv", "http://a/1", "repeated"),
        ("A/n.csv", "http://a/2", "repeated"),
        ("B/m.csv", "http://a/1", None),
        ("B/m.csv", "http://a/2", None),
    ]


def test_a_row_that_one_table_repeats_is_the_lists_own_wish(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    repeated = "id,url\n1,http://a/1\n1,http://a/1\n"
    others = "id,url\n2,http://a/2\n"
    stage(database, PLAIN, [table("m.csv", repeated, scope="A"), table("n.csv", others, scope="A")])
    assert staged(database, "source_id, reason") == [("1", None), ("1", None), ("2", None)]


def test_files_of_no_archive_repeat_nothing(database: duckdb.DuckDBPyConnection, table: MakeTable) -> None:
    stage(database, PLAIN, [table(f"{name}.csv", "id,url\n1,http://a/1\n") for name in "mn"])
    assert staged(database, "reason") == [(None,), (None,)]


def test_of_the_variants_of_a_medium_the_best_one_is_kept(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    rank = "CASE size WHEN 'big' THEN 1 WHEN 'small' THEN 2 END"
    source = Source(
        {**PLAIN.columns, "size": Column(("size",))}, PLAIN.rejects,
        variants=VariantRows("size", "title", rank),
    )  # fmt: skip
    lines = [
        "1,http://a/s,cat,small", "1,http://a/b,cat,big", "1,http://a/t,cat,small", "1,http://a/d,dog,small",
        "2,http://a/c,cat,small", ",http://a/n,cat,big", "1,http://a/o,cat,odd",
    ]  # fmt: skip
    with_size = table("m.csv", "id,url,title,size\n" + "\n".join(lines) + "\n")
    without = table("n.csv", "id,url,title\n1,http://b/1,cat\n1,http://b/2,cat\n")
    stage(database, source, [with_size, without])
    assert staged(database, "right(identifier, 3), reason") == [
        ("a/b", None),
        ("a/c", None),
        ("a/d", None),
        ("a/n", "no_source_id"),
        ("a/o", None),
        ("a/s", "other_variant"),
        ("a/t", "other_variant"),
        ("b/1", None),
        ("b/2", None),
    ]


def test_the_variants_of_different_archives_or_files_do_not_compete(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    source = Source(
        {**PLAIN.columns, "size": Column(("size",))}, (),
        variants=VariantRows("size", "title", "CASE size WHEN 'big' THEN 1 WHEN 'small' THEN 2 END"),
    )  # fmt: skip
    big, small = (f"id,url,title,size\n1,http://a/1,cat,{size}\n" for size in ("big", "small"))
    files = [
        table("A/m.csv", big, scope="A"), table("B/m.csv", small, scope="B"),
        table("c.csv", big), table("d.csv", small),
    ]  # fmt: skip
    stage(database, source, files)
    assert staged(database, "reason") == [(None,)] * 4


def _core_inputs(table: MakeTable, lists: str) -> list[MediaInput]:
    """Two archives whose cores list media; the one of A has a table of media too."""
    media = table("A/m.csv", "id,url\n1,http://a/1\n", scope="A")
    core = "id,media\n1,http://core/1\n2,http://core/2\n3,\n"
    return [
        MediaInput(media),
        MediaInput(table("A/core.csv", core, scope="A"), core_lists=lists),  # type: ignore[arg-type]  # one of two
        MediaInput(table("B/core.csv", core, scope="B"), core_lists=lists),  # type: ignore[arg-type]  # one of two
    ]


CORE = Source(
    {"identifier": Column(("media",)), "source_id": Column(("id",))}, (RejectRule("no_url", "identifier IS NULL"),)
)
WITH_CORE = Source(PLAIN.columns, (), core=CORE)


def test_the_rest_of_a_core_are_rows_that_list_media_which_no_table_of_the_archive_has(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    told = stage(database, WITH_CORE, _core_inputs(table, "the rest"))
    assert staged(database, "regexp_extract(file, '[AB]/'), identifier, reason") == [
        ("A/", "http://a/1", None),
        ("A/", "http://core/2", None),
        ("B/", "http://core/1", None),
        ("B/", "http://core/2", None),
    ]
    assert told.read_as[1:] == ["core.csv and 1 like it read as: URL in column media, id in column id"]


def test_all_rows_of_a_core_count_if_nothing_else_lists_media(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    stage(database, WITH_CORE, _core_inputs(table, "all")[1:2])
    assert staged(database, "identifier, reason") == [
        ("http://core/1", None),
        ("http://core/2", None),
        (None, "no_url"),
    ]


def test_a_source_without_a_core_reads_none(database: duckdb.DuckDBPyConnection, table: MakeTable) -> None:
    stage(database, PLAIN, _core_inputs(table, "all"))
    assert staged(database, "identifier") == [("http://a/1",)]


def test_a_row_with_several_urls_becomes_several_rows(database: duckdb.DuckDBPyConnection, table: MakeTable) -> None:
    source = Source({**PLAIN.columns, "uuid": Column(("uuid",))}, PLAIN.rejects)
    stage(database, source, [table("m.csv", "id,url,uuid\n1,http://a/1 http://a/2,u\n")])
    assert staged(database, "identifier, is_part, reason, uuid", "reason IS NULL") == [
        (url, True, None, row_uuid("u", url)) for url in ("http://a/1", "http://a/2")
    ]
    assert staged(database, "is_part, reason", "reason IS NOT NULL") == [(None, "divided")]


def test_a_line_that_cannot_be_read_is_a_row_and_its_line_is_known(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    content = "id,url\n1,http://a/1\n2,http://a/2,one too many\n3,http://a/3\n"
    told = stage(database, PLAIN, [table("m.csv", content, places=LinePlaces(4, 1, NONE))])
    rows = staged(database, "identifier, reason, line")
    assert rows == [
        ("2,http://a/2,one too many", "unparsable_line", 3),
        ("http://a/1", None, None),
        ("http://a/3", None, None),
    ]
    numbered = dict(staged(database, "identifier, rowid"))
    files = [file for (file,) in staged(database, "DISTINCT file")] * 2
    assert told.lines.fill(files, [numbered["http://a/1"], numbered["http://a/3"]], [None] * 2) == [2, 4]


def test_a_line_that_is_no_json_is_refused_whole_but_cut_to_two_thousand_characters(
    database: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"url": "http://a/1", "id": "1"}\n' + "x" * 3_000 + "\n", "utf-8")
    lines = Table(path, "a.jsonl", ("url", "id"), TextFormat("\x1f", "", 0, is_json=True))
    stage(database, PLAIN, [lines])
    assert staged(database, "identifier, reason") == [("http://a/1", None), ("x" * 2_000, "unparsable_line")]


def test_parquet_columns_that_differ_in_case_only_are_told_apart(
    database: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "a.parquet"
    arrays = {"URL": ["http://wrong/1"], "url": ["http://a/1"], "id": [7.0], "tags": [[{"path": "x"}]]}
    pq.write_table(pa.table(arrays), path)
    stage(database, PLAIN, [Table(path, "a.parquet", tuple(arrays), None)], kept=("tags",))
    assert staged(database, "identifier, source_id, line, kept_0") == [("http://a/1", "7", 1, "x")]


@pytest.mark.parametrize(("files", "words"), [(1, ""), (3, r" \(or one of 2 files like it\)")], ids=["one", "several"])
def test_a_file_that_cannot_be_read_is_named(
    database: duckdb.DuckDBPyConnection, tmp_path: Path, files: int, words: str
) -> None:
    tables = []
    for number in range(files):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"url": ["http://a/1"], "id": ["1"]}), path)
        tables.append(Table(path, f"list {number}", ("url", "id"), None))
    tables[-1].path.write_bytes(tables[-1].path.read_bytes()[:-20])
    with pytest.raises(UserError, match=rf"^list 0{words} cannot be read: "):
        stage(database, PLAIN, tables)


def test_whatever_is_damaged_in_a_file_is_said_of_the_file(database: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """DuckDB raises errors of several kinds about a damaged page, most of them without a kind."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"url": ["http://a/1"], "id": ["1"]}), path)
    sound = path.read_bytes()
    for place in range(4, 40):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 0xFF]) + sound[place + 1 :])
        with pytest.raises(UserError, match="my list cannot be read: "):
            stage(database, PLAIN, [Table(path, "my list", ("url", "id"), None)])


@dataclass(frozen=True)
class Failing:
    """A database that fails when it reads a text."""

    connection: duckdb.DuckDBPyConnection
    error: duckdb.Error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def execute(self, sql: str) -> duckdb.DuckDBPyConnection:
        if "read_csv" in sql:
            raise self.error
        return self.connection.execute(sql)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (duckdb.IOException("Could not write file: No space left on device"), "no space is left for the partition"),
        (duckdb.OutOfMemoryException("failed to offload data block"), "no space is left for the partition"),
        (duckdb.OutOfMemoryException("could not allocate block"), "needs more memory than this process may use"),
        (duckdb.BinderException("no column x"), "no column x"),
        (duckdb.Error(""), "m.csv cannot be read: Error"),
    ],
    ids=["full disk", "nowhere to spill", "little memory", "a fault of ours", "no words"],
)
def test_only_what_is_about_the_file_is_said_of_the_file(
    tmp_path: Path, table: MakeTable, error: duckdb.Error, told: str
) -> None:
    made = table("m.csv", "id,url\n1,http://a/1\n")
    with pytest.raises(Exception, match=told) as found, open_database(tmp_path) as connection:
        stage(Failing(connection, error), PLAIN, [made])  # type: ignore[arg-type]  # as far as it is used
    assert ("m.csv" in str(found.value)) == ("m.csv" in told)


def test_the_first_urls_are_those_of_accepted_rows_of_the_first_list(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    first = table("a.csv", "id,url\n,http://a/0\n1,http://a/1\n2,\n3,http://a/3\n")
    second = table("b.csv", "id,url\n4,http://b/4\n")
    reading = Reading(PLAIN, [MediaInput(first), MediaInput(second)])
    assert sorted(first_urls(database, reading, None)) == ["http://a/1", "http://a/3"]


def test_the_first_urls_are_a_thousand_at_most(database: duckdb.DuckDBPyConnection, table: MakeTable) -> None:
    lines = "".join(f"{number},http://a/{number}\n" for number in range(FIRST_URLS + 5))
    assert len(first_urls(database, Reading(PLAIN, [MediaInput(table("a.csv", f"id,url\n{lines}"))]), None)) == 1_000


def test_a_core_has_no_first_urls(database: duckdb.DuckDBPyConnection, table: MakeTable) -> None:
    _, core, _ = _core_inputs(table, "all")
    assert first_urls(database, Reading(WITH_CORE, [core]), None) == []


def test_companions_of_a_source_that_has_none_are_not_read(
    database: duckdb.DuckDBPyConnection, table: MakeTable
) -> None:
    media = MediaInput(table("m.csv", "id,url\n1,http://a/1\n"), (table("o.csv", "id,basis\n1,x\n"),))
    stage(database, PLAIN, [media])
    assert staged(database, "source_id, license") == [("1", None)]
    alone = Source(PLAIN.columns, (), companion=OF_ARCHIVE)
    stage(database, alone, [table("m.csv", "id,url\n1,http://a/1\n")])
    assert staged(database, "source_id, license") == [("1", None)]
