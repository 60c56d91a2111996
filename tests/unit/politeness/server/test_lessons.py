"""What a refusal taught is taken back where it turns out to be about its URL."""

from __future__ import annotations

from typing import Any

import pytest

from ray_downloader.politeness.server.lessons import Lessons


class Rate:
    """A rate that numbers its lessons and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self._number = 0

    def on_incident(
        self, now_s: float, resumes_s: float, sent_s: float, *, may_be_url: bool = False, may_be_noise: bool = True
    ) -> str:
        self._number += 1
        self.told.append(("refused", now_s, resumes_s, sent_s))
        return f"lesson {self._number}"

    def learn_with_care(self, lesson: str, resumes_s: float) -> str:
        self.told.append(("with care", lesson, resumes_s))
        return f"{lesson} again"

    def unlearn(self, lesson: str) -> None:
        self.told.append(("unlearn", lesson))


@pytest.fixture
def rate() -> Rate:
    return Rate()


@pytest.fixture
def lessons(rate: Rate) -> Lessons:
    return Lessons(rate)  # type: ignore[arg-type]  # the part of it that is used


def test_a_refusal_for_long_is_the_last_one_with_care(lessons: Lessons, rate: Rate) -> None:
    lessons.refused(1, 10.0, 12.0, 9.0)
    lessons.refused_for_long(12.0, 72.0, 11.0)
    assert rate.told == [("refused", 10.0, 12.0, 9.0), ("with care", "lesson 1", 72.0)]
    lessons.was_odd(1)
    assert rate.told[-1] == ("unlearn", "lesson 1 again")


def test_one_that_nothing_came_before_is_a_refusal(lessons: Lessons, rate: Rate) -> None:
    lessons.refused_for_long(12.0, 72.0, 11.0)
    assert rate.told == [("refused", 12.0, 72.0, 11.0)]


def test_only_the_last_refusal_of_that_url_is_taken_back_and_once(lessons: Lessons, rate: Rate) -> None:
    for url in (1, 2, 2):
        lessons.refused(url, 0.0, 0.0, 0.0)
    rate.told.clear()
    lessons.was_odd(9)
    lessons.was_odd(0)
    assert rate.told == []
    lessons.was_odd(2)
    lessons.was_odd(2)
    lessons.was_odd(2)
    assert rate.told == [("unlearn", "lesson 3"), ("unlearn", "lesson 2")]


def test_a_refusal_that_came_after_it_is_told_what_was_known_before_both(lessons: Lessons, rate: Rate) -> None:
    for url in (1, 2, 3):
        lessons.refused(url, 0.0, 0.0, 0.0)
    rate.told.clear()
    lessons.was_odd(1)
    assert rate.told == []
    lessons.was_odd(3)
    lessons.was_odd(2)
    assert rate.told == [("unlearn", "lesson 3"), ("unlearn", "lesson 1")]


def test_sixteen_refusals_are_remembered(lessons: Lessons, rate: Rate) -> None:
    for url in range(1, 18):
        lessons.refused(url, 0.0, 0.0, 0.0)
    rate.told.clear()
    lessons.was_odd(1)
    lessons.was_odd(17)
    assert rate.told == [("unlearn", "lesson 17")]
    for url in range(16, 1, -1):
        lessons.was_odd(url)
    assert rate.told[-1] == ("unlearn", "lesson 2")


def test_a_refusal_may_be_about_its_url_only_if_it_did_not_say_how_long_to_wait(rate: Rate) -> None:
    heard: list[tuple[bool, bool]] = []

    class Hearing(Rate):
        def on_incident(
            self, now_s: float, resumes_s: float, sent_s: float, *, may_be_url: bool = False, may_be_noise: bool = True
        ) -> str:
            heard.append((may_be_url, may_be_noise))
            return super().on_incident(now_s, resumes_s, sent_s)

    lessons = Lessons(Hearing())  # type: ignore[arg-type]  # the part of it that is used
    lessons.refused(1, 0.0, 0.0, 0.0)
    lessons.refused(1, 0.0, 0.0, 0.0, is_bare=True)
    lessons.banned(1, 0.0, 0.0, 0.0)
    assert heard == [(False, True), (True, True), (False, False)], "nor are several that are forbidden in a row chance"


def test_a_refusal_for_long_that_nothing_came_before_is_no_urls(lessons: Lessons, rate: Rate) -> None:
    lessons.refused_for_long(12.0, 72.0, 11.0)
    rate.told.clear()
    for url in (0, 1):
        lessons.was_odd(url)
    assert rate.told == []
