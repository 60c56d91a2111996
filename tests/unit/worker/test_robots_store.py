"""What servers answered, in a few files that all tasks append to: found again, whatever happens to a line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ray_downloader.worker.robots_store import FILES, KEEP_S, KeptAnswer, RobotsStore

NOON = 20_000.5 * KEEP_S
RULES = KeptAnswer(200, "User-agent: *\nDisallow: /private\n")


def the_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_any_number_of_servers_share_few_files_and_each_is_found_by_others(tmp_path: Path) -> None:
    writer, reader = RobotsStore(tmp_path, NOON), RobotsStore(tmp_path, NOON)
    servers = [f"server-{number}.example" for number in range(1_000)]
    for number, server in enumerate(servers):
        writer.keep("robots.txt", server, KeptAnswer(200, f"# {number}"))
    assert len(list(tmp_path.iterdir())) == FILES
    assert [reader.find("robots.txt", server) for server in servers] == [
        KeptAnswer(200, f"# {number}") for number in range(1_000)
    ]
    assert reader.find("robots.txt", "other.example") is None
    assert reader.find("tdmrep.json", servers[0]) is None


def test_a_reader_sees_what_is_added_after_it_has_looked_and_the_newest_counts(tmp_path: Path) -> None:
    writer, reader = RobotsStore(tmp_path, NOON), RobotsStore(tmp_path, NOON)
    assert reader.find("robots.txt", "a.example") is None
    for answer in (KeptAnswer(404, ""), RULES, KeptAnswer(None, "ü\n\0")):
        writer.keep("robots.txt", "a.example", answer)
        assert reader.find("robots.txt", "a.example") == answer


@pytest.mark.parametrize("start", [NOON, 20_000 * KEEP_S + 1, 20_001 * KEEP_S - 1], ids=["noon", "after 0", "before 0"])
def test_an_answer_counts_for_a_day_also_past_midnight(tmp_path: Path, start: float) -> None:
    RobotsStore(tmp_path, start).keep("robots.txt", "a.example", RULES)
    assert RobotsStore(tmp_path, start + KEEP_S - 1).find("robots.txt", "a.example") == RULES
    assert RobotsStore(tmp_path, start + KEEP_S + 1).find("robots.txt", "a.example") is None


def test_files_of_earlier_days_and_versions_are_removed_and_yesterdays_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.example.json").write_text("{}")
    RobotsStore(tmp_path, NOON - 2 * KEEP_S).keep("robots.txt", "a.example", RULES)
    RobotsStore(tmp_path, NOON - KEEP_S + 1).keep("robots.txt", "b.example", RULES)
    store = RobotsStore(tmp_path, NOON)
    store.keep("robots.txt", "c.example", RULES)
    assert len(list(tmp_path.iterdir())) == 2
    assert store.find("robots.txt", "b.example") == RULES


@pytest.mark.parametrize("kept_bytes", [1, 8, 9, 30, -1])
def test_a_line_that_a_kill_has_torn_costs_only_itself(tmp_path: Path, kept_bytes: int) -> None:
    writer = RobotsStore(tmp_path, NOON)
    writer.keep("robots.txt", "a.example", RULES)
    whole = the_file(tmp_path).read_bytes()
    the_file(tmp_path).write_bytes(whole + whole[:kept_bytes])
    reader = RobotsStore(tmp_path, NOON)
    assert reader.find("robots.txt", "a.example") == RULES
    newer = KeptAnswer(200, "# newer")
    writer.keep("robots.txt", "a.example", newer)
    assert reader.find("robots.txt", "a.example") == newer
    assert RobotsStore(tmp_path, NOON).find("robots.txt", "a.example") == newer


@pytest.mark.parametrize("place", [3, 12, 25, 60])
def test_a_damaged_line_is_not_believed_and_an_older_one_counts_again(tmp_path: Path, place: int) -> None:
    store = RobotsStore(tmp_path, NOON)
    store.keep("robots.txt", "a.example", KeptAnswer(200, "# older"))
    older = the_file(tmp_path).stat().st_size
    store.keep("robots.txt", "a.example", RULES)
    damaged = bytearray(the_file(tmp_path).read_bytes())
    damaged[older + place] ^= 0x01
    the_file(tmp_path).write_bytes(damaged)
    for reader in (store, RobotsStore(tmp_path, NOON)):
        assert reader.find("robots.txt", "a.example") == KeptAnswer(200, "# older")


@pytest.mark.parametrize("content", [b"", b"\n", b"[]\n", b"00000000 []\n", b"\0" * 4096, b"\xff\n" * 100])
def test_what_is_no_such_file_has_no_answers_and_takes_new_ones(tmp_path: Path, content: bytes) -> None:
    store = RobotsStore(tmp_path, NOON)
    store.keep("robots.txt", "a.example", RULES)
    the_file(tmp_path).write_bytes(content)
    reader = RobotsStore(tmp_path, NOON)
    assert reader.find("robots.txt", "a.example") is None
    store.keep("robots.txt", "a.example", RULES)
    assert reader.find("robots.txt", "a.example") == RULES


def test_a_line_with_a_servers_key_inside_of_another_is_not_its_own(tmp_path: Path) -> None:
    store = RobotsStore(tmp_path, NOON)
    store.keep("robots.txt", "a.example", KeptAnswer(200, '["robots.txt b.example",[0,200,""]]\n'))
    assert store.find("robots.txt", "b.example") is None


def test_a_file_that_became_shorter_gives_no_wrong_answer(tmp_path: Path) -> None:
    store = RobotsStore(tmp_path, NOON)
    for number in range(3):
        store.keep("robots.txt", "a.example", KeptAnswer(200, f"# {number}"))
    assert store.find("robots.txt", "a.example") == KeptAnswer(200, "# 2")
    whole = the_file(tmp_path).read_bytes()
    the_file(tmp_path).write_bytes(whole[: len(whole) // 2])
    assert store.find("robots.txt", "a.example") == KeptAnswer(200, "# 0")


def test_a_long_text_is_kept_small_and_as_it_was(tmp_path: Path) -> None:
    store = RobotsStore(tmp_path, NOON)
    text = "".join(f"Disallow: /päth/{number}/\r\n" for number in range(100))
    for answer in (KeptAnswer(200, text), KeptAnswer(200, None), KeptAnswer(200, "")):
        before = the_file(tmp_path).stat().st_size if any(tmp_path.iterdir()) else 0
        store.keep("robots.txt", "a.example", answer)
        assert RobotsStore(tmp_path, NOON).find("robots.txt", "a.example") == answer
        assert the_file(tmp_path).stat().st_size - before < len(text) / 4


def test_a_store_that_cannot_be_written_only_knows_nothing(tmp_path: Path) -> None:
    (tmp_path / "robots").touch()
    store = RobotsStore(tmp_path / "robots", NOON)
    store.keep("robots.txt", "a.example", RULES)
    assert store.find("robots.txt", "a.example") is None


def test_a_short_text_stays_as_people_read_it_in_a_file_that_only_its_owner_writes(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        RobotsStore(tmp_path, NOON).keep("robots.txt", "a.example", RULES)
    finally:
        os.umask(before)
    assert b"Disallow: /private" in the_file(tmp_path).read_bytes()
    assert the_file(tmp_path).stat().st_mode & 0o777 == 0o644
