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


def test_names_are_remembered_for_half_a_minute_a_hundred_thousand_at_a_time() -> None:
    names = FailedNames()
    for number in range(100_001):
        names.add(f"{number}.example", now_s=0.0)
    assert [names.has(f"{number}.example", now_s=29.999) for number in (0, 1, 100_000)] == [False, True, True]
    assert not names.has("1.example", now_s=30.0), "RFC 9520 allows 1 s to 5 minutes"
