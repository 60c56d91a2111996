"""Archives of every publisher: all their tables of media, the core's id as source_id, the best URL of each medium."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from ray_downloader.errors import UserError
from tests.support.lists import Partitioned, partitioned, shared_case
from tests.support.thorough import thorough

pytestmark = pytest.mark.stage

DWCA = {"name": "dwca"}
NAMESPACE = "http://rs.tdwg.org/dwc/text/"
AUDUBON = "http://rs.tdwg.org/ac/terms/Multimedia"
SIMPLE = "http://rs.gbif.org/terms/1.0/Multimedia"
CSV = 'fieldsTerminatedBy="," fieldsEnclosedBy="&quot;" ignoreHeaderLines="1"'


def _table(tag: str, files: list[str], row_type: str, terms: list[str], more: str = "") -> str:
    locations = "".join(f"<location>{file}</location>" for file in files)
    key = "id" if tag == "core" else "coreid"
    fields = "".join(f'<field index="{index}" term="{term}"/>' for index, term in enumerate(terms, 1))
    return f'<{tag} {CSV} rowType="{row_type}"><files>{locations}</files><{key} index="0"/>{fields}{more}</{tag}>'


def _archive(folder: Path, files: dict[str, str], *tables: str, namespace: str = NAMESPACE) -> Path:
    folder.mkdir()
    (folder / "meta.xml").write_text(f'<archive xmlns="{namespace}">{"".join(tables)}</archive>')
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


CORE = _table(
    "core", ["occurrences.csv"], "http://rs.tdwg.org/dwc/terms/Occurrence",
    ["http://rs.tdwg.org/dwc/terms/scientificName", "http://purl.org/dc/terms/license"],
)  # fmt: skip
OCCURRENCES = "id,scientificName,license\n1,Aus bus,CC0\n2,Cus dus,\n3,Eus fus,\n"


def _ids_and_urls(result: Partitioned) -> set[tuple[str, str]]:
    return {(row["source_id"], row["identifier"].rpartition("/")[2]) for row in result.rows()}


def test_all_tables_of_media_and_all_their_files_are_read(tmp_path: Path) -> None:
    files = {
        "occurrences.csv": OCCURRENCES,
        "a1.csv": "coreid,accessURI\n1,http://a.example/a1.jpg\n",
        "a2.csv": "coreid,accessURI\n2,http://a.example/a2.jpg\n",
        "s.csv": "coreid,identifier,type\n2,http://a.example/s.jpg,StillImage\n2,http://a.example/s.mp3,Sound\n",
    }
    tables = (
        CORE, _table("extension", ["a1.csv", "a2.csv"], AUDUBON, ["http://rs.tdwg.org/ac/terms/accessURI"]),
        _table("extension", ["s.csv"], SIMPLE, ["http://purl.org/dc/terms/identifier", "http://purl.org/dc/terms/type"]),
    )  # fmt: skip
    result = partitioned(
        _archive(tmp_path / "d", files, *tables), tmp_path / "out", {**DWCA, "keep": ["scientificName"]}
    )
    assert _ids_and_urls(result) == {("1", "a1.jpg"), ("2", "a2.jpg"), ("2", "s.jpg")}
    assert result.summary.rejected_by_reason == {"not_an_image": 1}
    assert {row["keep.scientificName"] for row in result.rows()} == {"Aus bus", "Cus dus"}
    assert {row["license_from"] for row in result.rows()} == {"occurrence", None}


def test_ids_of_two_archives_are_not_mixed_up(tmp_path: Path) -> None:
    for name, species in (("a", "Aus"), ("b", "Bus")):
        _archive(
            tmp_path / f"in-{name}",
            {
                "occurrences.csv": f"id,scientificName,license\n1,{species},\n",
                "m.csv": f"c,u\n1,http://{name}.example/1.jpg\n",
            },
            CORE,
            _table("extension", ["m.csv"], AUDUBON, ["http://rs.tdwg.org/ac/terms/accessURI"]),
        )
    result = partitioned(tmp_path / "in-*", tmp_path / "out", {**DWCA, "keep": ["scientificName"]})
    assert {(row["identifier"], row["keep.scientificName"]) for row in result.rows()} == {
        ("http://a.example/1.jpg", "Aus"),
        ("http://b.example/1.jpg", "Bus"),
    }


@pytest.mark.parametrize("namespace", [NAMESPACE, "http://rs.tdwg.org/dwc/text", ""])
@pytest.mark.parametrize(
    "row_type", [AUDUBON, SIMPLE, AUDUBON.replace("http:", "https:"), "http://rs.gbif.org/terms/1.0/Image"]
)
def test_descriptors_are_read_in_every_spelling(tmp_path: Path, namespace: str, row_type: str) -> None:
    table = _table("extension", ["m.csv"], row_type, ["http://rs.tdwg.org/ac/terms/accessURI"])
    files = {"occurrences.csv": OCCURRENCES, "m.csv": "x,y\n1,http://a.example/1.jpg\n"}
    archive = _archive(tmp_path / "d", files, CORE, table, namespace=namespace)
    assert _ids_and_urls(partitioned(archive, tmp_path / "out", DWCA)) == {("1", "1.jpg")}


VARIANTS = "coreid,identifier,accessURI,thumbnailAccessURI,goodQualityAccessURI\n1,urn:uuid:7,{},{},{}\n"


@pytest.mark.parametrize(
    ("variant", "urls", "taken"),
    [
        ("best", ("a", "t", "g"), "a"),
        ("good", ("a", "t", "g"), "g"),
        ("thumbnail", ("a", "t", "g"), "t"),
        ("thumbnail", ("a", "", "g"), "g"),
        ("medium", ("a", "t", "g"), "g"),
        ("best", ("", "t", "g"), "g"),
        ("best", ("", "t", ""), "t"),
        ("best", ("offline", "t", ""), "t"),
        ("best", ("a", "", ""), "a"),
    ],
)
def test_the_wanted_variant_is_taken_or_else_the_next_better_one(
    tmp_path: Path, variant: str, urls: tuple[str, str, str], taken: str
) -> None:
    filled = [f"http://a.example/{name}" if len(name) == 1 else name for name in urls]
    (tmp_path / "m.csv").write_text(VARIANTS.format(*filled))
    result = partitioned(tmp_path / "m.csv", tmp_path / "out", {**DWCA, "variant": variant})
    assert _ids_and_urls(result) == {("1", taken)}


def test_a_medium_needs_no_name_beside_its_url(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(
        "coreid,identifier,accessURI\n1,,http://a.example/1.jpg\n2,http://a.example/2.jpg,\n"
    )
    assert _ids_and_urls(partitioned(tmp_path / "m.csv", tmp_path / "out", DWCA)) == {("1", "1.jpg"), ("2", "2.jpg")}


def test_a_column_that_is_named_counts_whatever_else_there_is(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(VARIANTS.format(*(f"http://a.example/{name}" for name in "atg")))
    dataset = {**DWCA, "columns": {"identifier": "thumbnailAccessURI"}}
    assert _ids_and_urls(partitioned(tmp_path / "m.csv", tmp_path / "out", dataset)) == {("1", "t")}


@pytest.mark.parametrize("name", ["gbif", thorough("dwca"), thorough("generic")])
@pytest.mark.parametrize(
    ("case", "rows", "rejected"),
    [
        ("symb", {("1", "s1_lg.jpg"), ("2", "s2_lg.jpg")}, {}),
        ("idig", {("u1", "m1.jpg"), ("u1", "raw1.jpg"), ("u2", "raw2.jpg")}, {}),
        ("inatdwca", {("11", "original.jpeg?1444335406")}, {"not_an_image": 1}),
    ],
)
def test_shared_cases_of_publishers_are_read_by_any_name_and_zipped(
    tmp_path: Path, name: str, case: str, rows: set[tuple[str, str]], rejected: dict[str, int]
) -> None:
    folder = shared_case(case)
    with zipfile.ZipFile(tmp_path / f"{case}.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    for path in (folder, tmp_path / f"{case}.zip"):
        result = partitioned(path, tmp_path / "out", {"name": name})
        assert _ids_and_urls(result) == rows
        assert result.summary.rejected_by_reason == rejected


def test_a_core_may_list_media_itself(tmp_path: Path) -> None:
    files = {"o.csv": "id,media,type\n1,http://a.example/1.jpg,PhysicalObject\n2,,\n3,http://a.example/3.mp3,\n"}
    core = _table(
        "core", ["o.csv"], "http://rs.tdwg.org/dwc/terms/Occurrence",
        ["http://rs.tdwg.org/dwc/terms/associatedMedia", "http://purl.org/dc/terms/type"],
    )  # fmt: skip
    result = partitioned(_archive(tmp_path / "d", files, core), tmp_path / "out", DWCA)
    assert _ids_and_urls(result) == {("1", "1.jpg")}
    assert result.summary.rejected_by_reason == {"no_identifier": 1, "not_an_image": 1}


def test_beside_tables_of_media_a_core_adds_those_of_its_other_rows(tmp_path: Path) -> None:
    files = {
        "o.csv": "id,media\n1,http://a.example/1.jpg\n2,http://a.example/2.jpg\n3,\n",
        "m.csv": "coreid,u\n1,http://a.example/1-of-table.jpg\n",
    }
    core = _table(
        "core", ["o.csv"], "http://rs.tdwg.org/dwc/terms/Occurrence", ["http://rs.tdwg.org/dwc/terms/associatedMedia"]
    )
    table = _table("extension", ["m.csv"], AUDUBON, ["http://rs.tdwg.org/ac/terms/accessURI"])
    result = partitioned(_archive(tmp_path / "d", files, core, table), tmp_path / "out", DWCA)
    assert _ids_and_urls(result) == {("1", "1-of-table.jpg"), ("2", "2.jpg")}
    assert result.summary.input_rows == 2


def test_a_table_that_the_descriptor_names_and_that_is_missing_is_said(tmp_path: Path) -> None:
    archive = _archive(
        tmp_path / "d", {"occurrences.csv": OCCURRENCES}, CORE, _table("extension", ["m.csv"], AUDUBON, [])
    )
    with pytest.raises(UserError, match=r"meta\.xml of .* names m\.csv, which is not there"):
        partitioned(archive, tmp_path / "out", DWCA)


def test_a_medium_in_two_tables_of_an_archive_is_one(tmp_path: Path) -> None:
    files = {
        "o.csv": "id\n1\n",
        "a.csv": "coreid,u\n1,http://a.example/1.jpg\n1,http://a.example/2.jpg\n",
        "s.csv": "coreid,u\n1,http://a.example/1.jpg\n2,http://a.example/1.jpg\n",
    }
    core = _table("core", ["o.csv"], "http://rs.tdwg.org/dwc/terms/Occurrence", [])
    audubon = _table("extension", ["a.csv"], AUDUBON, ["http://rs.tdwg.org/ac/terms/accessURI"])
    simple = _table("extension", ["s.csv"], SIMPLE, ["http://purl.org/dc/terms/identifier"])
    result = partitioned(_archive(tmp_path / "d", files, core, audubon, simple), tmp_path / "out", DWCA)
    assert _ids_and_urls(result) == {("1", "1.jpg"), ("1", "2.jpg"), ("2", "1.jpg")}
    assert [(row["source_id"], row["reason"], row["file"][-5:], row["line"]) for row in result.rejected()] == [
        ("1", "repeated", "s.csv", 2)
    ]


def test_what_a_descriptor_states_for_all_rows_counts(tmp_path: Path) -> None:
    files = {"o.csv": "id\n1\n", "m.csv": "coreid,u,t\n1,http://a.example/1.jpg,\n2,http://a.example/2.jpg,Sound\n"}
    stated = (
        '<field term="http://purl.org/dc/terms/license" default="CC0"/>'
        '<field index="2" term="http://purl.org/dc/terms/type" default="StillImage"/>'
    )
    table = _table("extension", ["m.csv"], AUDUBON, ["http://rs.tdwg.org/ac/terms/accessURI"], stated)
    core = _table("core", ["o.csv"], "http://rs.tdwg.org/dwc/terms/Occurrence", [])
    result = partitioned(_archive(tmp_path / "d", files, core, table), tmp_path / "out", DWCA)
    assert [(row["source_id"], row["license"], row["license_from"]) for row in result.rows()] == [("1", "CC0", "media")]
    assert result.summary.rejected_by_reason == {"not_an_image": 1}


@pytest.mark.parametrize(
    "header",
    [
        '"id,type,format,identifier,title',
        'id,type,format,identifier,title"',
        'id,type,format,identifier,"title',
        'id,"type,format",identifier,title',
        '"id"",""type"",""format"",""identifier"",""title"',
        '""id"",""type"",""format"",""identifier"",""title""',
        '"id,""type"",""format"",""identifier"",""title"""',
        '"id,type,format,identifier,title"',
        '\ufeff"id","type","format","identifier","title"',
    ],
)
@pytest.mark.parametrize("name", [thorough("dwca"), "auto"])
def test_broken_quotes_of_a_header_cost_no_row(tmp_path: Path, header: str, name: str) -> None:
    rows = (
        '1,StillImage,image/jpeg,http://a.example/1.jpg,"A ""t"", x"\n2,StillImage,image/jpeg,http://a.example/2.jpg,T\n'
        "3,Sound,audio/mpeg,http://a.example/3.mp3,\n"
    )
    (tmp_path / "media.csv").write_text(f"{header}\n{rows}", "utf-8")
    result = partitioned(tmp_path / "media.csv", tmp_path / "out", {"name": name})
    assert [(row["source_id"], row["title"]) for row in result.rows()] == [("1", 'A "t", x'), ("2", "T")]
    assert result.summary.rejected_by_reason == {"not_an_image": 1}


def test_a_gbif_download_of_another_kind_is_said_by_any_name(tmp_path: Path) -> None:
    for name in ("gbif", "auto"):
        with pytest.raises(UserError, match="'Darwin Core Archive'"):
            partitioned(shared_case("gbif_simple.csv"), tmp_path / "out", {"name": name})


def test_media_nested_in_rows_are_rows_of_their_own(tmp_path: Path) -> None:
    result = partitioned(shared_case("gbif_sql.parquet"), tmp_path / "out", {"name": "gbif"})
    assert len(result.rows()) == 2
    assert {row["source_id"] for row in result.rows()} == {"1"}


_VARIANT_ROWS = [("Best Quality", "v006"), ("Good Quality", "v005"), ("Thumbnail", "v001"), ("Trailer", "v002")]


@pytest.mark.parametrize("terms", [False, True], ids=["words", "terms"])
@pytest.mark.parametrize(
    ("variant", "kept"), [("best", "v006"), ("medium", "v005"), ("thumbnail", "v001"), ("all", "")]
)
def test_rows_that_are_variants_of_a_medium_count_once(tmp_path: Path, *, terms: bool, variant: str, kept: str) -> None:
    lines = ["coreid,identifier,accessURI,variant"]
    for core in (1, 2):
        for words, term in _VARIANT_ROWS:
            shown = f"http://rs.tdwg.org/acvariant/values/{term}" if terms else words
            lines.append(f"{core},medium,http://a.example/{core}/{term}.jpg,{shown}")
    (tmp_path / "media.csv").write_text("\n".join([*lines, "1,,http://a.example/1/other.jpg,"]))
    result = partitioned(tmp_path / "media.csv", tmp_path / "out", {"name": "dwca", "variant": variant})
    found = {row["identifier"].rpartition("/")[2] for row in result.rows()}
    assert found == {f"{kept}.jpg", "other.jpg"} if kept else len(result.rows()) == 9
    assert result.summary.rejected_by_reason == ({"other_variant": 6} if kept else {})


def test_the_same_name_in_several_rows_of_one_quality_is_several_pictures(tmp_path: Path) -> None:
    text = (
        "coreid,identifier,accessURI,variantLiteral\n1,m,http://a.example/1.jpg,Best\n1,m,http://a.example/2.jpg,Best\n"
    )
    (tmp_path / "media.csv").write_text(text)
    assert len(partitioned(tmp_path / "media.csv", tmp_path / "out", DWCA).rows()) == 2


def test_a_picture_that_only_references_names_is_used(tmp_path: Path) -> None:
    text = "coreid,identifier,references,type\n1,,http://a.example/1.jpg,StillImage\n2,,http://a.example/2,StillImage\n"
    (tmp_path / "media.csv").write_text(text)
    result = partitioned(tmp_path / "media.csv", tmp_path / "out", DWCA)
    assert result.identifiers() == ["http://a.example/1.jpg"]
    assert result.summary.rejected_by_reason == {"no_identifier": 1}


@pytest.mark.parametrize(("delimiter", "above"), [("||", 1), ("\t", 3)], ids=["two characters", "three header lines"])
def test_odd_descriptors_are_obeyed(tmp_path: Path, delimiter: str, above: int) -> None:
    table = _table("extension", ["media.txt"], SIMPLE, ["http://purl.org/dc/terms/identifier"])
    table = table.replace('","', f'"{delimiter}"'.replace("\t", "\\t"), 1).replace(
        'HeaderLines="1"', f'HeaderLines="{above}"'
    )
    table = table.replace(' fieldsEnclosedBy="&quot;"', ' fieldsEnclosedBy=""')
    text = "made by x\n" * (above - 1) + f"coreid{delimiter}identifier\n1{delimiter}http://a.example/1.jpg\n"
    folder = _archive(tmp_path / "archive", {"media.txt": text, "occurrences.csv": OCCURRENCES}, CORE, table)
    assert _ids_and_urls(partitioned(folder, tmp_path / "out", DWCA)) == {("1", "1.jpg")}


def test_the_one_to_credit_is_creator_and_rights_holder(tmp_path: Path) -> None:
    lines = ["coreid,identifier,type,creator,rightsHolder"]
    for number, people in enumerate(["Ann,Museum", "Ann,", ",Museum", "Ann,Ann", ","]):
        lines.append(f"{number},http://a.example/{number}.jpg,StillImage,{people}")
    (tmp_path / "media.csv").write_text("\n".join(lines))
    rows = partitioned(tmp_path / "media.csv", tmp_path / "out", DWCA).rows()
    found = [row["creator"] for row in sorted(rows, key=lambda row: row["source_id"])]
    assert found == ["Ann (rights holder: Museum)", "Ann", "Museum", "Ann", None]
