"""Which budgets get an actor of their own."""

from __future__ import annotations

from ray_downloader.cluster.placement import ACTOR_MB, Directory, Placement, place


def test_shared_mode_starts_few_actors_for_many_servers() -> None:
    rows = {f"s{n}": 5 for n in range(100_000)}
    assert place(rows, "shared", memory_mb=20_000, cpus=2) == Placement((), 1)
    assert place(rows, "shared", memory_mb=200_000, cpus=64) == Placement((), 16)
    assert place(rows, "shared", memory_mb=2_000_000, cpus=6400) == Placement((), 32)


def test_dedicated_mode_gives_each_server_its_own_and_keeps_one_for_servers_met_on_the_way() -> None:
    placement = place({"a": 1, "b": 2}, "dedicated", memory_mb=20_000, cpus=2)
    assert set(placement.dedicated) == {"a", "b"}
    assert placement.shared == 1


def test_dedicated_mode_leaves_memory_for_the_work() -> None:
    placement = place({f"s{n}": n for n in range(545)}, "dedicated", memory_mb=14_000, cpus=2)
    assert len(placement.dedicated) == 22
    assert placement.dedicated[0] == "s544"
    assert placement.shared == 1


def test_auto_gives_the_biggest_servers_their_own_within_memory_and_cores() -> None:
    rows = {f"s{n}": 10_000 * n for n in range(1, 546)}
    placement = place(rows, "auto", memory_mb=24_000, cpus=2)
    assert placement.dedicated[0] == "s545"
    assert len(placement.dedicated) == 8
    assert len(place(rows, "auto", memory_mb=ACTOR_MB * 20, cpus=64).dedicated) == 2


def test_auto_on_a_small_list_starts_one_shared_actor() -> None:
    placement = place({"a": 755, "b": 2}, "auto", memory_mb=24_000, cpus=2)
    assert (placement.dedicated, placement.shared) == ((), 1)


def test_a_directory_finds_the_same_host_each_time_and_dedicated_ones_first() -> None:
    directory = Directory({"big": "own"}, ("first", "second"))
    assert directory.actor_of("big") == "own"
    found = {name: directory.actor_of(name) for name in ("a", "b", "c", "d", "e", "f")}
    assert set(found.values()) == {"first", "second"}
    assert found == {name: directory.actor_of(name) for name in found}
    assert directory.actors == ["own", "first", "second"]
