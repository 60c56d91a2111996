"""Lists of servers are read in any spelling, and a wrong one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.config.settings import OutputStructure
from ray_downloader.errors import UserError
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.server_lists import load_ignored_servers, read_server_names


def test_without_a_list_no_server_is_ignored(tmp_path: Path) -> None:
    assert load_ignored_servers(RunLayout(tmp_path, OutputStructure())) == frozenset()


def test_servers_are_known_in_any_spelling_and_gaps_are_passed_over(tmp_path: Path) -> None:
    lines = ("why,server_name", "slow, B.Example ", "port,a.example%3A8080", "nothing,", "short")
    lines += ("tls,c.example:443", "dot,d.example.", "name,müller.example", "group,All of A")
    (tmp_path / "ignored.csv").write_text("\ufeff" + "\n".join(lines) + "\n", "utf-8")
    assert load_ignored_servers(RunLayout(tmp_path, OutputStructure())) == {
        "b.example", "a.example:8080", "c.example", "d.example", "xn--mller-kva.example", "all of a",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"host,rate\na,1\n", "the list needs a column 'server_name'; it has: host, rate"),
        (b"", "the list needs a column 'server_name'; it has: nothing"),
        (b"server_name\n\xff\n", "the list cannot be read: .*decode"),
    ],
)
def test_a_wrong_list_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        read_server_names(path, "the list")


def test_a_list_that_is_not_there_is_named_as_the_user_knows_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the list cannot be read: No such file"):
        read_server_names(tmp_path / "none.csv", "the list")


def test_a_list_made_on_another_system_is_read(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(b"server_name\r\n'a.example'\r\nb.example\r\n")
    assert read_server_names(path, "it") == {"'a.example'", "b.example"}
