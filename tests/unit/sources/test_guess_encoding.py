"""Encodings are guessed only where the evidence is strong."""

from __future__ import annotations

import pytest

from ray_downloader.sources.guess_encoding import guess_encoding


@pytest.mark.parametrize(
    ("text", "encoding", "guess"),
    [
        ("日本の花 きれいな桜の木", "cp932", "cp932"),
        ("日本の花 きれいな桜の木", "euc_jp", "euc_jp"),
        ("中国植物标本 在北京采集", "gbk", "gb18030"),
        ("한국의 식물 표본 번호", "cp949", "euc_kr"),
        ("Растение из Москвы номер", "cp1251", "cp1251"),
        ("Растение из Москвы номер", "koi8_r", "koi8_r"),
        ("Καλημέρα κόσμε από την Αθήνα", "cp1253", "cp1253"),
        ("Herbário de Évora, à côté de l’été né", "mac_roman", "mac_roman"),
        ("Größe über Äpfel für Grün", "cp850", "cp850"),
        ("Größe über Äpfel für Grün", "cp1252", None),
        ("naïve “quoted” – dash’s œuvre, déjà vu", "cp1252", None),
        ("Žluťoučký kůň úpěl ďábelské ódy", "cp1250", None),
        ("Ñandú ÑANDÚ ÁRBOL ÉPOCA", "cp1252", None),
        ("Müller", "cp1252", None),
        ("花", "cp932", None),
    ],
    ids=lambda value: str(value).encode("ascii", "backslashreplace").decode()[:24],
)
def test_the_encoding_of_words(text: str, encoding: str, guess: str | None) -> None:
    assert guess_encoding(f"1,http://a.example/1.jpg,{text}\n".encode(encoding)) == guess


def test_single_letters_that_are_words_in_french_are_not_cyrillic() -> None:
    text = "".join(f"{n};Vase {n}, à;Felis\n" for n in range(20))
    assert guess_encoding(text.encode("cp1252")) is None
