"""Licences are known in every spelling that lists have."""

from __future__ import annotations

import pytest

from ray_downloader.errors import UserError
from ray_downloader.sources.licenses import license_gate, license_name


@pytest.mark.parametrize(
    ("name", "spellings"),
    [
        ("cc0", ["CC0", "CC0_1_0", "cc-zero", "http://creativecommons.org/publicdomain/zero/1.0/legalcode"]),
        ("cc0", ["Creative Commons CC0 1.0 Universal", "https://creativecommons.org/publicdomain/zero/1.0/deed.de"]),
        ("pdm", ["Public Domain", "PDM", "https://creativecommons.org/publicdomain/mark/1.0/"]),
        ("cc-by", ["CC BY 4.0", "CC_BY_4_0", "cc-by", "Attribution License", "by", "© Jane Doe, CC BY"]),
        ("cc-by", ["http://creativecommons.org/licenses/by/3.0/us/", "Attribution 4.0 International (CC BY 4.0)"]),
        ("cc-by-sa", ["CC BY-SA 3.0 de", "cc-by-sa-4.0", "https://creativecommons.org/licences/by-sa/4.0"]),
        ("cc-by-nc", ["CC-BY-NC", "CC BY_NC", "Creative Commons Attribution Non Commercial (CC-BY-NC) 4.0"]),
        ("cc-by-nc-sa", ["CC BY-NC-SA (Attribution-NonCommercial-ShareAlike)", "by-nc-sa"]),
        ("cc-by-nd", ["Attribution-NoDerivs License"]),
        ("cc-by-nc-nd", ["https://creativecommons.org/licenses/by-nc-nd/4.0/legalcode.en", "CC BY-NC-ND 4.0"]),
        ("cc-by-nc", ["https://creativecommons.org/licenses/by%2Dnc/4.0/", "Creative Commons Atribuição-NãoComercial"]),
        ("cc-by-nc", ["Creative Commons Attribution - Pas d\u2019Utilisation Commerciale 4.0", "CC BY\u2011NC 4.0 "]),
        ("cc-by-nc-sa", ["CC Namensnennung - Nicht kommerziell - Weitergabe unter gleichen Bedingungen 4.0"]),
        ("cc-by-nc-nd", ["Creative Commons Attribuzione - Non commerciale - Non opere derivate"]),
        (None, ["All rights reserved unless CC BY", "not public domain", "It is not in the public domain"]),
        ("all-rights-reserved", ["© All rights reserved", "(c) Museum", "http://rightsstatements.org/vocab/InC/1.0/"]),
        ("no-known-copyright", ["No known copyright restrictions"]),
        ("us-gov", ["United States Government Work"]),
        (
            None,
            ["?", "Free to use by museum staff", "usage by permission", "Some rights", "by permission of the artist"],
        ),
    ],
)
def test_a_licence_has_one_name(name: str | None, spellings: list[str]) -> None:
    assert {spelling: license_name(spelling) for spelling in spellings} == dict.fromkeys(spellings, name)


def test_a_gate_takes_names_in_any_spelling_and_texts_as_they_stand() -> None:
    told: list[str] = []
    is_wanted = license_gate(["CC0", "http://creativecommons.org/licenses/by/4.0/", "Our own terms"], told.append)
    assert [is_wanted(text) for text in ("cc-zero", "CC BY 2.0", "our own terms", "CC BY-NC", "", None)] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    assert len(told) == 1
    assert "'Our own terms' is not one of cc0, pdm" in told[0]


def test_an_empty_name_is_a_mistake() -> None:
    with pytest.raises(UserError, match=r"dataset\.licenses has an empty name"):
        license_gate([" "], print)
