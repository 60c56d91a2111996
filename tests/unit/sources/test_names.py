"""When two spellings are the same name of a column."""

from __future__ import annotations

import pytest

from ray_downloader.sources.names import ID_NAMES, KNOWN_NAMES, URL_NAMES, bare, plain


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("URL", "url"),
        (" Image  URL ", "image url"),
        ("\ufeffid", "id"),
        ('"a b"', "a b"),
        ("#key", "key"),
        ("Straße", "strasse"),
    ],
)
def test_case_blanks_and_quotes_make_no_difference(written: str, name: str) -> None:
    assert plain(written) == name


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("ac:accessURI", "accessuri"),
        ("http://rs.tdwg.org/ac/terms/accessURI", "accessuri"),
        ("https://example.org/terms#identifier", "identifier"),
        ("Image URL", "imageurl"),
        ("image-url", "imageurl"),
        ("IMAGE_URL", "imageurl"),
        ("größe", "grösse"),
    ],
)
def test_so_do_namespaces_and_what_is_between_words(written: str, name: str) -> None:
    assert bare(written) == name


def test_names_of_urls_ids_and_the_usual_others_are_known() -> None:
    assert {bare(name) for name in (*URL_NAMES, *ID_NAMES, "License", "scientific_name")} <= KNOWN_NAMES
    assert bare("page_url") not in KNOWN_NAMES, "a page is no picture"
    assert URL_NAMES.index("accessURI") < URL_NAMES.index("identifier"), "which may be a bare UUID beside it"
