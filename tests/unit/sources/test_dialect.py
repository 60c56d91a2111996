"""How a text is read is decided by what most of its lines are like, and URLs are never cut."""

from __future__ import annotations

import pytest

from ray_downloader.sources.dialect import TextRules, read_sample

U, V, W = "http://a.example/1.jpg", "http://a.example/2.jpg", "http://b.example/3.jpg"


def _read(text: str, ending: str = ".csv", **rules: object) -> tuple[str, str, bool, int]:
    reading = read_sample(text.split("\n"), ending, TextRules(**rules))  # type: ignore[arg-type] # any rule
    return reading.delimiter if reading.columns > 1 else "", reading.quote, reading.has_header, reading.columns


@pytest.mark.parametrize(
    ("text", "ending", "delimiter", "has_header", "columns"),
    [
        ("url,title\n" + U + ",x", ".csv", ",", True, 2),
        ("id;url;Größe\n1;" + U + ';"1,5"', ".csv", ";", True, 3),
        (f"1|{U}|x\n2|{V}|y", ".csv", "|", False, 3),
        (f"1,{U}\n2,{V}", ".csv", ",", False, 2),
        # One odd line decides nothing: neither about the delimiter nor about the header.
        (f"{U},1,cat\nhttp://a.example/b,x.jpg,2,dog\n{V},3,cow\n{W},4,hen", ".csv", ",", False, 3),
        (f"1,\n2,{U}\n3,{V}", ".csv", ",", False, 2),
        (f"a,,\n{U},1,x\n{V},2,y", ".csv", ",", False, 3),
        # Commas and semicolons of URLs do not cut them.
        (f"{U}?a=1,2\n{V}?a=3,4\n{W}?a=5,6", ".txt", "", False, 1),
        ("https://a.example/u=17,18&fm=15\nhttps://a.example/u=27,28&fm=15", ".csv", "", False, 1),
        (f"url\n{U}?x=1;y=2\n{V}?x=1;y=2", ".csv", "", True, 1),
        (f"{U}|{V}\n{W}|{U}", ".txt", "", False, 1),
        (f"{U};cat\n{V};dog\n{W};cow", ".txt", ";", False, 2),
        (f"1,{U}?a=1,cat\n2,{V}?a=2,dog", ".txt", ",", False, 3),
        # A first line that is no http URL is a row; one that may be a name is a header.
        (f"s3://bucket/a.jpg\n{U}", ".txt", "", False, 1),
        (f"//a.example/1.jpg\n{U}", ".txt", "", False, 1),
        (f"<{U}>\n{V}", ".txt", "", False, 1),
        (f"NA\n{U}", ".txt", "", False, 1),
        (f"654355.jpg\n{U}", ".txt", "", False, 1),
        (f"image link\n{U}", ".txt", "", True, 1),
        (f"网址,名称\n{U},x", ".csv", ",", True, 2),
        ("photo_id\tobserver_id\textension\n1\t2\tjpg", ".csv", "\t", True, 3),
        ("http://rs.tdwg.org/ac/terms/accessURI,http://purl.org/dc/terms/format\n" + U + ",x", ".csv", ",", True, 2),
        # R names all columns but its row names; spreadsheets drop empty cells at the end.
        (f'"url","title"\n"1","{U}","x"\n"2","{V}","y"', ".csv", ",", True, 3),
        (f"id,url,a,b\n1,{U}\n2,{V}\n3,{W}", ".csv", ",", True, 2),
    ],
)
def test_delimiter_header_and_columns(text: str, ending: str, delimiter: str, has_header: bool, columns: int) -> None:
    found = _read(text, ending)
    assert (found[0], found[2], found[3]) == (delimiter, has_header, columns)


@pytest.mark.parametrize(
    ("text", "ending", "quote"),
    [
        (f'" halt " is on the wall\t{U}\nan old "tired dog\t{V}\n"the 6\' 2" keeper\t{W}', ".tsv", ""),
        (f'"a ""b"""\t{U}\n"c"\t{V}', ".tsv", '"'),
        (f'"a ""b"""\t{U}\n"c"\t{V}', ".txt", '"'),
        (f"a\t{U}\nb\t{V}", ".txt", ""),
        (f'"a, b",{U}\n"c",{V}', ".csv", '"'),
        (f'"x"y,{U}\n"z"w,{V}\nc,{W}', ".csv", ""),
        (f"'a, b',{U}\n'c',{V}", ".csv", "'"),
    ],
)
def test_quotes_that_are_not_closed_are_characters(text: str, ending: str, quote: str) -> None:
    assert _read(text, ending)[1] == quote


def test_what_is_stated_is_not_looked_for() -> None:
    text = f"x,y;{U}\nz,w;{V}"
    assert _read(text, delimiter=",")[0] == ","
    assert _read(f"a\t{U}\nb\t{V}", has_header=True)[2] is True
    assert _read(f'"a"\t{U}\n"b"\t{V}', ".tsv", quote="")[1] == ""
    assert _read(f'"a"\t{U}\n"b"\t{V}', ".tsv", quoted_tabs=False)[1] == ""


def test_backslashes_may_escape_quotes() -> None:
    reading = read_sample(
        ['"id","url"', r'1,"http://a.example/x\"y.jpg"', '2,"http://a.example/z.jpg"'], ".csv", TextRules()
    )
    assert reading.escape == "\\"
    assert reading.data[0] == ("1", 'http://a.example/x"y.jpg')
