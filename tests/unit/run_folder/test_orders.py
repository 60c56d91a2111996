"""Orders are lines that are only ever appended; each is read once."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from ray_downloader.run_folder.orders import OrderFile, ServerOrder, damaged_lines, in_force


def test_each_order_is_read_once_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "schedules" / "orders.jsonl"
    reader, writer = OrderFile(path), OrderFile(path)
    assert reader.new() == []
    orders = [ServerOrder("pause", "a.example"), ServerOrder("rate", "b.example", 2.5)]
    for order in orders:
        writer.append(order)
    assert reader.new() == orders
    assert reader.new() == []
    writer.append(ServerOrder("resume", "a.example"))
    assert reader.new() == [ServerOrder("resume", "a.example")]


def test_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    OrderFile(path).append(ServerOrder("ban", "a.example"))
    whole = path.read_bytes()
    path.write_bytes(whole[:20])
    reader = OrderFile(path)
    assert reader.new() == []
    path.write_bytes(whole)
    assert reader.new() == [ServerOrder("ban", "a.example")]


def test_an_order_is_on_disk_when_it_has_been_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "orders.jsonl"
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    OrderFile(path).append(ServerOrder("ban", "a.example"))
    assert synced == [path.stat().st_size], "the whole line, not what the buffer still held back"


def test_an_order_says_when_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    before_s = time.time()
    OrderFile(path).append(ServerOrder("rate", "a.example", 1.5))
    (line,) = path.read_text("utf-8").splitlines()
    order = json.loads(line)
    assert before_s <= order.pop("given_at_unix_s") <= time.time()
    assert order == {"action": "rate", "server": "a.example", "value": 1.5}
    (read,) = OrderFile(path).new()
    assert before_s <= read.given_at_unix_s <= time.time()


def test_of_each_server_the_last_rate_and_the_last_of_the_others_count() -> None:
    given = [
        ServerOrder("rate", "a", 2.0), ServerOrder("pause", "a"), ServerOrder("ban", "b"),
        ServerOrder("rate", "a", 5.0), ServerOrder("resume", "b"), ServerOrder("pause", "a"),
    ]  # fmt: skip
    assert in_force(given) == [ServerOrder("rate", "a", 5.0), ServerOrder("resume", "b"), ServerOrder("pause", "a")]


def test_a_torn_line_in_the_middle_costs_itself(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    path.write_text('{"action": "ban"\n[1]\n{"action": "ban", "server": "a", "value": null}\n', "utf-8")
    assert OrderFile(path).new() == [ServerOrder("ban", "a")]


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ('{"action": "pause", "server": "a"}', ServerOrder("pause", "a")),
        ('{"action": "rate", "server": "a", "value": 1e-9}', ServerOrder("rate", "a", 1e-9)),
        ('{"action": "rate", "server": "a", "value": "2"}', ServerOrder("rate", "a", 2.0)),
        ('{"action": "rate", "server": "a", "value": 0}', None),
        ('{"action": "rate", "server": "a", "value": -1}', None),
        ('{"action": "rate", "server": "a", "value": Infinity}', None),
        ('{"action": "rate", "server": "a", "value": NaN}', None),
        ('{"action": "rate", "server": "a", "value": "inf"}', None),
        ('{"action": "rate", "server": "a", "value": "nan"}', None),
        ('{"action": "rate", "server": "a"}', None),
        ('{"action": "hurry", "server": "a"}', None),
        ('{"action": "ban", "server": 3}', None),
        ('{"action": "ban"}', None),
        ('{"server": "a"}', None),
        ('{"action": "ban", "server": "a", "given_at_unix_s": "noon"}', None),
    ],
)
def test_a_line_is_an_order_that_can_be_obeyed_or_damaged(tmp_path: Path, line: str, order: ServerOrder | None) -> None:
    path = tmp_path / "orders.jsonl"
    assert damaged_lines(path) == []
    path.write_text(f'\n{{"action": "resume", "server": "b"}}\n{line}\n', "utf-8")
    assert OrderFile(path).new() == [ServerOrder("resume", "b"), *([order] if order else [])]
    assert damaged_lines(path) == ([] if order else [3])


def test_a_new_order_begins_a_line_of_its_own_also_after_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    path.write_bytes(b'{"action": "ba')
    for server in ("a", "b"):
        OrderFile(path).append(ServerOrder("ban", server))
    torn, *whole, end = path.read_bytes().split(b"\n")
    assert (torn, end) == (b'{"action": "ba', b"")
    assert [json.loads(line)["server"] for line in whole] == ["a", "b"]
    assert damaged_lines(path) == [1]
