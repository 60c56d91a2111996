"""A retry order is kept until all its rows were tried, and only then may the same words mean a new one."""

from __future__ import annotations

import json
from pathlib import Path

from ray_downloader.config.settings import OutputStructure
from ray_downloader.errors import ErrorKind
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.retry_order import NO_RETRY, RetryOrder, begin_retry, finish_retry, load_retry_order

DNS = (ErrorKind.DNS,)


def test_a_stopped_order_goes_on_with_or_without_being_named_again(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    order = begin_retry(layout, DNS, "2026-01-01T00:00:00+00:00")
    assert (order.number, order.kinds_left) == (1, {"dns"})
    assert begin_retry(layout, DNS, "later") == order
    assert begin_retry(layout, (), "later") == order
    assert load_retry_order(layout) == order


def test_the_same_words_after_the_end_are_a_new_order(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    finish_retry(layout, begin_retry(layout, DNS, "first"))
    assert begin_retry(layout, (), "later").kinds_left == frozenset()
    assert begin_retry(layout, DNS, "second").number == 2


def test_other_kinds_replace_an_unfinished_order(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    begin_retry(layout, DNS, "first")
    order = begin_retry(layout, (ErrorKind.TIMEOUT, ErrorKind.DNS), "second")
    assert (order.number, order.kinds_left) == (2, {"dns", "timeout"})


def test_without_an_order_or_with_a_broken_file_nothing_is_retried(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    assert begin_retry(layout, (), "now") == NO_RETRY
    layout.retry_order_file.parent.mkdir()
    layout.retry_order_file.write_text("{", "utf-8")
    assert load_retry_order(layout) == NO_RETRY


def test_journals_show_under_which_order_they_were_written(tmp_path: Path) -> None:
    """What a task wrote before an order began is an answer of before, also if the order has the same words."""
    first, second = RetryOrder(1, DNS, is_finished=False), RetryOrder(12, DNS, is_finished=False)
    names = {order: order.attempt_name("task-3") for order in (NO_RETRY, first, second)}
    assert list(names.values()) == ["task-3", "retry1-task-3", "retry12-task-3"]
    for order in names:
        written = [of for of, name in names.items() if order.wrote(tmp_path / f"journal-{name}.arrow")]
        assert written == [order]


def test_an_order_that_is_finished_or_none_is_not_written_again(tmp_path: Path) -> None:
    layout = RunLayout(tmp_path, OutputStructure())
    finish_retry(layout, NO_RETRY)
    assert not layout.retry_order_file.exists()
    order = begin_retry(layout, DNS, "first")
    finish_retry(layout, order)
    assert load_retry_order(layout) == RetryOrder(1, DNS, "first", is_finished=True)
    document = {"number": 1, "kinds": ["dns"], "started_at": "first", "is_finished": True}
    assert layout.retry_order_file.read_text("utf-8") == json.dumps(document, indent=2) + "\n"
    assert begin_retry(layout, (), "later") == RetryOrder(1, DNS, "first", is_finished=True)
