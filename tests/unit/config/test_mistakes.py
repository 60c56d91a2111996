"""A wrong key is answered with the part of it that is wrong, and with what would be right."""

from __future__ import annotations

import pytest

from ray_downloader.config.mistakes import unknown_key
from ray_downloader.config.settings import Settings


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("tools_parameters.resize_size", "did you mean tools_parameters.new_resize_size?"),
        ("tools_parameter.apply", "tools_parameter is not a known key; did you mean tools_parameters?"),
        ("nonsense.key", "nonsense is not a known key; known keys: account, base, cluster, "),
        ("politeness.nonsense", "politeness.nonsense is not a known key; known keys: adaptive, burst, "),
        ("politeness.contact.name", "politeness.contact is a value and has no keys below it"),
    ],
)
def test_an_unknown_key_is_answered_where_it_goes_wrong(key: str, sentence: str) -> None:
    assert sentence in unknown_key(key, Settings)
