from dataclasses import dataclass, field

from ray_downloader.profile.pacer import ProbePacer


@dataclass
class FakeTime:
    now_s: float = 100.0
    slept_s: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now_s

    def sleep(self, duration_s: float) -> None:
        self.slept_s.append(duration_s)
        self.now_s += duration_s


def paced(spacing_s: float) -> tuple[ProbePacer, FakeTime]:
    time = FakeTime()
    return ProbePacer(spacing_s, time.clock, time.sleep), time


def test_the_first_turn_comes_at_once_and_the_next_after_the_spacing() -> None:
    pace, time = paced(2.0)
    assert pace.wait_turn(1e9) and pace.wait_turn(1e9)
    assert time.slept_s == [0.0, 2.0]


def test_time_spent_otherwise_counts() -> None:
    pace, time = paced(2.0)
    pace.wait_turn(1e9)
    time.now_s += 1.5
    pace.wait_turn(1e9)
    assert time.slept_s[-1] == 0.5


def test_a_turn_after_the_deadline_is_not_waited_for() -> None:
    pace, time = paced(60.0)
    pace.wait_turn(130.0)
    assert not pace.wait_turn(130.0)
    assert time.now_s == 100.0


def test_a_crawl_delay_counts_from_the_last_request_on() -> None:
    pace, time = paced(2.0)
    pace.wait_turn(1e9)
    pace.slow_down(10.0)
    pace.wait_turn(1e9)
    assert time.slept_s[-1] == 10.0


def test_a_short_crawl_delay_does_not_speed_up() -> None:
    pace, _ = paced(2.0)
    pace.slow_down(0.5)
    assert pace.spacing_s == 2.0


def test_a_pause_moves_the_next_turn_and_never_forward() -> None:
    pacer, _ = paced(1.0)
    assert pacer.wait_s() == 0.0
    pacer.pause(30.0)
    pacer.pause(10.0)
    assert pacer.wait_s() == 30.0
    assert not pacer.wait_turn(deadline_s=130.0)
    assert pacer.wait_turn(deadline_s=130.1)
