"""Every kind of error has a meaning, and every server's trouble its advice."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

import pytest

from ray_downloader.config.compose import compose_over, settings_from_hydra
from ray_downloader.config.plain_values import as_hydra_reads
from ray_downloader.errors import ErrorKind
from ray_downloader.report.advice import MEANINGS, MOST_ADVICE, ServerFacts, advice, may_pass, meaning, tls_rule


def said(errors: Mapping[str, int], statuses: Mapping[int, int] | None = None, **facts: object) -> str:
    given = {"server": "www.museum.example", "rows": 100, "images": 0, "moved_to": None, **facts}
    return "\n".join(advice(ServerFacts(errors=errors, statuses=statuses or {}, **given)))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", list(ErrorKind), ids=str)
def test_every_kind_has_a_meaning_and_something_to_do(kind: ErrorKind) -> None:
    assert MEANINGS[kind].words
    assert MEANINGS[kind].todo.endswith(".")
    assert said({str(kind): 3})


def test_a_kind_of_a_later_version_is_shown_by_its_name() -> None:
    assert meaning("quantum_noise").words == "quantum noise"
    assert said({"quantum_noise": 1}) == "Quantum noise (1 row)"
    assert not may_pass("quantum_noise")


@pytest.mark.parametrize(
    ("errors", "statuses", "begins"),
    [
        ({"server_dead": 100}, {}, "Dead (100 rows): "),
        ({"server_refused": 100}, {}, "Refused (100 rows): "),
        ({"not_image": 40}, {}, "Serves pages, not images (40 rows): "),
        ({"tls": 100}, {}, "TLS chain broken (100 rows): "),
        ({"http_4xx": 90}, {404: 80, 410: 10}, "Moved or deleted, HTTP 404, 410 (90 rows): Most of its addresses"),
        ({"http_4xx": 3}, {404: 3}, "Moved or deleted, HTTP 404 (3 rows): Another request"),
        ({"http_4xx": 90}, {401: 90}, "Refused these files, HTTP 401 (90 rows): It wants a login"),
        ({"http_4xx": 90}, {}, "Refused these files (90 rows): Another request"),
    ],
)
def test_trouble_is_named(errors: Mapping[str, int], statuses: Mapping[int, int], begins: str) -> None:
    assert said(errors, statuses).startswith(begins)


def test_the_errors_of_most_rows_come_first_and_few_are_named() -> None:
    lines = said({"dns": 1, "timeout": 30, "empty": 2, "tls": 4}).splitlines()
    assert len(lines) == MOST_ADVICE
    assert [line.partition(" (")[0] for line in lines] == ["No answer in time", "TLS chain broken", "Empty file"]


def test_a_server_whose_images_come_from_another_host_has_moved() -> None:
    moved = ("images.new.example", 60)
    assert said({}, images=100, moved_to=moved) == (
        "Moved: 60 of its images came from images.new.example. The list could name that host itself."
    )
    assert said({}, images=200, moved_to=moved) == ""


@pytest.mark.parametrize(
    ("server", "glob"),
    [
        ("www.museum.example", "www.museum.example"),
        ("www.museum.example:8443", "www.museum.example:8443"),
        ("[2001:db8::1]:8443", "[[]2001:db8::1]:8443"),
        ("o'brien.example", "o'brien.example"),
    ],
)
def test_the_rule_for_a_broken_chain_can_be_pasted_into_a_shell(server: str, glob: str) -> None:
    (override,) = shlex.split(tls_rule(server))
    composed = compose_over({"path_to_input": "list.txt", "path_to_output": "out"}, as_hydra_reads([override]))
    (rule,) = settings_from_hydra(composed).politeness.rules or ()
    assert (rule.server, rule.verify_tls) == (glob, False)
