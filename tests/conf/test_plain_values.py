"""Values as a shell gives them arrive as they were written, whatever Hydra's grammar makes of their characters."""

from __future__ import annotations

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from ray_downloader.config.compose import compose_over, settings_from_hydra
from ray_downloader.config.plain_values import as_hydra_reads

pytestmark = pytest.mark.stage

NAMES = [
    "état.csv", "0001234-250101 (1).zip", "a,b.csv", "run=1.csv", "[x]#1.csv", "/data/é è/x.csv", "2024", "1e3", "007",
    "true", "it's.csv", 'say "hi".csv', "back\\slash.csv", "end\\", "a'b\\", "x\\'y", "$HOME", "100%.csv", "a:b", "{a}",
    "[a]", "(x)", "~/x, y.csv", " lead.csv", "a;b", "a!b", "'un", "日本.csv", "choice(a,b)", "range(3)",
    "C:\\data\\x.csv", "\\[", "a\\,b", "x\\ (1)",
]  # fmt: skip

#: Settings that are a text or a path: one composition, which takes 0.1 s, has a name for each.
KEYS = ["path_to_input", "path_to_output", "network.ca_bundle", "politeness.contact", "cluster.token_file"]


def _value(argument: str) -> Any:
    key, _, _ = argument.lstrip("+").partition("=")
    return OmegaConf.select(compose_over({}, [argument]), key)


@pytest.mark.parametrize("first", range(0, len(NAMES), len(KEYS)))
def test_a_text_or_path_is_taken_as_it_is_written(first: int) -> None:
    given = dict(zip(KEYS, NAMES[first:], strict=False))
    config = compose_over({}, [f"{key}={name}" for key, name in given.items()])
    assert {key: OmegaConf.select(config, key) for key in given} == given


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12))
@example("a\\\\'")
@example("\\[")
def test_any_text_arrives_or_hydras_own_words_are_meant(name: str) -> None:
    quoted = len(name.strip()) > 1 and name.strip()[0] in "'\"" and name.strip()[0] == name.strip()[-1]
    if "$" in name or quoted or name.strip().lower() == "null":
        return
    (argument,) = as_hydra_reads([f"path_to_input={name}"])
    # Hydra's grammar alone: a whole composition takes 0.2 s, and does not look at a value again.
    assert OverridesParser.create().parse_override(argument).value() == name


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("politeness.contact=Jane <j@x.org>", "Jane <j@x.org>"),
        ("network.proxy=http://user:p!w@host:3128", "http://user:p!w@host:3128"),
        ("path_to_input='a, b.csv'", "a, b.csv"),
        ("network.proxy=null", None),
        ("downloader_parameters.image_size=512", 512),
        ("downloader_parameters.header=true", True),
        ("downloader_parameters.header=X-Key: a!b", "X-Key: a!b"),
        ("stages=[partition,download]", ["partition", "download"]),
        ("dataset.keep=Größe", "Größe"),
        ("dataset.keep=[a b,Größe]", ["a b", "Größe"]),
        (
            "dataset.columns={identifier: Größe, source_id: [no., id]}",
            {"identifier": "Größe", "source_id": ["no.", "id"]},
        ),
        ('network.connect_to={"*:80":"127.0.0.1:8080"}', {"*:80": "127.0.0.1:8080"}),
        ("dataset.text.delimiter=;", ";"),
        ("dataset.text.delimiter=\t", "\t"),
        ("dataset.text.quote='", "'"),
    ],
)
def test_values_of_every_kind_keep_their_meaning(argument: str, value: object) -> None:
    found = _value(argument)
    assert (OmegaConf.to_container(found) if OmegaConf.is_config(found) else found) == value


def test_hydras_own_options_are_left() -> None:
    for arguments in (["--config-dir", "/é=1,2"], ["--cfg", "job"], ["~network"]):
        assert as_hydra_reads(arguments) == arguments


@pytest.mark.parametrize(
    ("written", "character"), [("tab", "\t"), ("\\t", "\t"), ("semicolon", ";"), ("|", "|"), ("null", None)]
)
def test_a_delimiter_may_be_named(written: str, character: str | None) -> None:
    given = [f"dataset.text.delimiter={written}", "path_to_input=a", "path_to_output=b", "dataset.text.quote=none"]
    text = settings_from_hydra(compose_over({}, given)).dataset.text
    assert (text.delimiter, text.quote) == (character, "")
