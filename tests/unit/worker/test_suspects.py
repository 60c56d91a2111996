"""A row that kills its process, wherever it does so, is found and costs itself; chance deaths blame nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.errors import ErrorKind
from ray_downloader.fetch.base import FetchRequest, FetchResult
from ray_downloader.fetch.fake import FakeFetcher, Reply
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES
from ray_downloader.worker.suspects import BLAMED_AFTER, CAREFUL_FROM, Suspects
from tests.support.thorough import thorough
from tests.unit.worker.worker_run import Run, found

pytestmark = pytest.mark.stage


class Died(BaseException):
    """As SIGKILL: nothing catches it."""


def until_settled(run: Run, most_deaths: int) -> int:
    """Run tasks until nothing is left, each in a new process; how many died."""
    deaths = 0
    while run.work:
        try:
            run.slice(holder=f"task-{deaths}")
        except Died:
            deaths += 1
            assert deaths <= most_deaths
            run.fetcher = FakeFetcher(run.script, run.clock)
    return deaths


@pytest.mark.parametrize("culprits", [thorough(("0123",)), thorough(("0000",)), ("0299", "0007")], ids="-".join)
def test_a_row_that_kills_its_process_outside_the_decoder_is_found_by_halving(
    tmp_path: Path, culprits: tuple[str, ...]
) -> None:
    def script(request: FetchRequest) -> Reply:
        if any(name in request.url for name in culprits):
            raise Died
        return found(request)

    urls = [f"http://a.example/{number:04}.jpg" for number in range(300)]
    run = Run(tmp_path, urls, script)
    until_settled(run, most_deaths=len(culprits) * (9 + CAREFUL_FROM + BLAMED_AFTER))
    assert len(run.read(SUCCESSES, "uuid")) == 300 - len(culprits)
    assert run.kinds() == {"internal": len(culprits)}
    assert {url[-8:-4] for url in run.read(ERRORS, "identifier")} == set(culprits)
    assert f"{BLAMED_AFTER} worker processes" in run.read(ERRORS, "error_msg")[0]
    assert not list(run.layout.images.rglob("_in_hand.json"))


def test_equal_urls_are_found_together(tmp_path: Path) -> None:
    def script(request: FetchRequest) -> Reply:
        if request.url.endswith("/5.jpg"):
            raise Died
        return found(request)

    run = Run(tmp_path, [f"http://a.example/{number}.jpg" for number in range(10) for _ in range(3)], script)
    until_settled(run, most_deaths=20)
    assert run.kinds() == {"internal": 3}
    assert len(run.read(SUCCESSES, "uuid")) == 27


def test_chance_deaths_blame_nobody(tmp_path: Path) -> None:
    deaths = iter([40, 30, 20, 10, 5])
    left = [next(deaths)]

    def script(request: FetchRequest) -> Reply:
        left[0] -= 1
        if not left[0]:
            left[0] = next(deaths, -1)
            raise Died
        return found(request)

    run = Run(tmp_path, [f"http://a.example/{number}.jpg" for number in range(200)], script)
    assert until_settled(run, most_deaths=5) == 5
    assert len(run.read(SUCCESSES, "uuid")) == 200


def test_what_is_suspected_survives_the_end_of_a_slice_and_a_torn_note_is_none(tmp_path: Path) -> None:
    note = tmp_path / "_in_hand.json"
    Suspects(note, lambda _: True).note([1, 2, 3, 4])
    Suspects(note, lambda _: True).note([1, 2, 3, 4])
    careful = Suspects(note, lambda row: row != 3)
    assert careful.is_careful
    assert careful.take() == [1]
    careful.close([1])
    again = Suspects(note, lambda _: True)
    assert again.is_careful
    assert again.take() == [1]
    note.write_text('{"rows": [1, 2', "utf-8")
    assert not Suspects(note, lambda _: True).is_careful
    again.close([])
    settled = Suspects(note, lambda _: False)
    settled.close([])
    assert not note.exists()


def test_a_row_is_blamed_only_for_deaths_of_processes_that_had_begun_it(tmp_path: Path) -> None:
    """Processes that are killed from outside die while a row waits for its turn, which may take long."""
    note = tmp_path / "_in_hand.json"
    for _ in range(2 * BLAMED_AFTER):
        suspects = Suspects(note, lambda _: True)
        assert suspects.blamed is None
        suspects.note([7])
    for _ in range(BLAMED_AFTER):
        suspects = Suspects(note, lambda _: True)
        assert suspects.blamed is None
        suspects.note([7])
        suspects.begin()
        suspects.rest()
        suspects.begin()
    assert Suspects(note, lambda _: True).blamed == 7
    suspects.rest()
    assert Suspects(note, lambda _: True).blamed is None


def test_a_note_of_an_earlier_version_counts_as_begun(tmp_path: Path) -> None:
    note = tmp_path / "_in_hand.json"
    note.write_text('{"rows": [7], "deaths": 4, "alone": 2}', "utf-8")
    assert Suspects(note, lambda _: True).blamed == 7


class Mortal(FakeFetcher):
    """Its process is killed after five seconds."""

    def poll(self, timeout_s: float) -> list[FetchResult]:
        self.born_s = getattr(self, "born_s", self._clock.now_s)
        if self._clock.now_s > self.born_s + 5.0:
            raise Died
        return super().poll(timeout_s)


def test_processes_that_are_killed_while_a_refused_row_waits_do_not_cost_it(tmp_path: Path) -> None:
    is_well = False

    def script(request: FetchRequest) -> Reply:
        return found(request) if is_well else Reply(ErrorKind.HTTP_5XX, 503)

    run = Run(tmp_path, ["http://a.example/1.jpg"], script)
    for number in range(CAREFUL_FROM + BLAMED_AFTER):
        run.fetcher = Mortal(script, run.clock)
        with pytest.raises(Died):
            run.slice(holder=f"killed-{number}")
    is_well = True
    run.fetcher = FakeFetcher(script, run.clock)
    until_settled(run, most_deaths=0)
    assert len(run.read(SUCCESSES, "uuid")) == 1


def test_a_single_death_is_forgotten_once_a_task_has_ended_well(tmp_path: Path) -> None:
    """It may have been chance: rows that later tasks have not finished either are not suspected for it."""
    note = tmp_path / "_in_hand.json"
    Suspects(note, lambda _: True).note([1, 2])
    once = Suspects(note, lambda _: True)
    assert not once.is_careful
    once.close([1])
    assert not note.exists()
