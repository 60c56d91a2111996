"""Batches: balanced for big servers, shared by small ones, each row in exactly one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_downloader.partition import batch_plan
from ray_downloader.partition.batch_plan import plan_batches
from ray_downloader.run_folder.schemas import POOLED


def test_batches_of_a_server_are_of_nearly_equal_size() -> None:
    batches = plan_batches({"a": 199_999}, 10_000, 10).batches
    assert [batch.partition_id for batch in batches] == list(range(20))
    assert [batch.rows for batch in batches] == [10_000] * 19 + [9_999]


@pytest.mark.parametrize(("rows", "sizes"), [(999, [999]), (1_001, [501, 500]), (10_000, [1_250] * 8)])
def test_a_list_of_one_server_is_cut_for_several_cores(rows: int, sizes: list[int]) -> None:
    assert [batch.rows for batch in plan_batches({"a": rows}, 10_000, 10).batches] == sizes


def test_partition_ids_count_from_zero_for_each_server() -> None:
    planned = plan_batches({"a": 25, "b": 15}, 10, 10)
    assert [(b.server_name, b.partition_id) for b in planned.batches] == [
        ("a", 0),
        ("a", 1),
        ("a", 2),
        ("b", 0),
        ("b", 1),
    ]
    assert planned.batches_of_server == (3, 2)


def test_servers_with_few_rows_fill_shared_batches() -> None:
    planned = plan_batches({"big": 12, "x": 9, "y": 9, "z": 3}, 10, 10)
    assert planned.servers == ("big", "x", "y", "z")
    pooled = [batch for batch in planned.batches if batch.server_name == POOLED]
    assert [(batch.partition_id, batch.rows, batch.servers) for batch in pooled] == [(0, 7, 1), (1, 7, 2), (2, 7, 2)]
    assert planned.batches_of_server == (2, 2, 2, 1)


def test_a_server_needs_rows_for_batches_of_its_own() -> None:
    planned = plan_batches({"nine": 9, "ten": 10}, 100, 10)
    assert [batch.server_name for batch in planned.batches] == ["ten", POOLED]


def test_many_small_servers_are_cut_for_several_cores_too() -> None:
    planned = plan_batches({f"{number:04d}": 20 for number in range(100)}, 10_000, 200)
    assert [(batch.server_name, batch.rows, batch.servers) for batch in planned.batches] == [(POOLED, 500, 25)] * 4


def test_no_server_shares_with_a_pool_below_zero_rows() -> None:
    assert [batch.server_name for batch in plan_batches({"a": 1, "b": 1}, 100, 0).batches] == ["a", "b"]


def test_a_server_named_pooled_shares_however_big_it_is() -> None:
    planned = plan_batches({POOLED: 50, "a": 50}, 100, 10)
    assert [(batch.server_name, batch.rows) for batch in planned.batches] == [("a", 50), (POOLED, 50)]


def test_only_the_biggest_servers_have_batches_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_plan, "MAX_OWN_SERVERS", 2)
    planned = plan_batches({"a": 10, "b": 30, "c": 20}, 100, 10)
    assert [(batch.server_name, batch.rows) for batch in planned.batches] == [("b", 30), ("c", 20), (POOLED, 10)]


def test_no_rows_are_no_batches() -> None:
    assert plan_batches({}, 10, 10).batches == ()


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 200), max_size=30),
    st.integers(1, 50),
)
def test_every_row_is_in_one_batch_of_allowed_size(rows_of_server: dict[str, int], batch_size: int) -> None:
    planned = plan_batches(rows_of_server, batch_size, 10)
    assert sorted(planned.servers) == sorted(rows_of_server)
    assert sum(batch.rows for batch in planned.batches) == sum(rows_of_server.values())
    assert all(0 < batch.rows <= batch_size for batch in planned.batches)
    assert sum(batch.servers for batch in planned.batches) == sum(planned.batches_of_server)
    for name in {batch.server_name for batch in planned.batches}:
        ids = [batch.partition_id for batch in planned.batches if batch.server_name == name]
        assert ids == list(range(len(ids)))


def test_a_server_whose_name_fits_no_folder_shares_batches_however_many_rows_it_has() -> None:
    planned = plan_batches({"a" * 249: 500, "b.example": 500}, 10_000, 10)
    assert planned.servers == ("b.example", "a" * 249)
    assert {batch.server_name for batch in planned.batches} == {"b.example", POOLED}
