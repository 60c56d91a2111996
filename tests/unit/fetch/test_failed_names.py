from __future__ import annotations

from ray_downloader.fetch.failed_names import FailedNames


def test_a_failure_is_remembered_for_a_while_and_then_forgotten() -> None:
    names = FailedNames(remembered_s=30.0)
    names.add("gone.example", now_s=100.0)
    assert names.has("gone.example", now_s=129.9)
    assert not names.has("gone.example", now_s=130.0)
    assert not names.has("other.example", now_s=100.0)


def test_the_oldest_names_are_forgotten_beyond_the_capacity() -> None:
    names = FailedNames(capacity=2)
    for host in ("a", "b", "a", "c"):
        names.add(host, now_s=0.0)
    assert [names.has(host, now_s=1.0) for host in ("a", "b", "c")] == [True, False, True]
