"""What is published about a run, without a Ray that publishes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import pytest

from ray_downloader.cluster import metrics
from ray_downloader.cluster.metrics import COUNTERS, GAUGES, INTERVAL_S, NAMED_SERVERS, RunMetrics
from ray_downloader.cluster.ports import RunView
from ray_downloader.monitor.waiting import Waiting
from ray_downloader.politeness.messages import WaitReason
from ray_downloader.run_folder.packed_states import LearnedFacts
from ray_downloader.worker.progress import Progress, ProgressDelta

Tags = tuple[tuple[str, str], ...]


class Published:
    """The values of all metrics by name and tags, `run` left out."""

    def __init__(self) -> None:
        self.values: dict[str, dict[Tags, float]] = defaultdict(dict)
        self.runs: set[str] = set()
        self.descriptions: dict[str, tuple[str, tuple[str, ...]]] = {}

    def kind(self, is_sum: bool) -> Callable[..., object]:
        published = self

        class Metric:
            def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
                self._values = published.values[name]
                published.descriptions[name] = (description, tag_keys)

            def inc(self, value: float, tags: dict[str, str]) -> None:
                assert is_sum
                self._put(self._values.get(self._key(tags), 0.0) + value, tags)

            def set(self, value: float, tags: dict[str, str]) -> None:
                assert not is_sum
                self._put(value, tags)

            def _put(self, value: float, tags: dict[str, str]) -> None:
                published.runs.add(tags["run"])
                self._values[self._key(tags)] = value

            @staticmethod
            def _key(tags: dict[str, str]) -> Tags:
                return tuple(sorted((key, value) for key, value in tags.items() if key != "run"))

        return Metric

    def of(self, name: str, **tags: str) -> float | None:
        return self.values[f"downloader_{name}"].get(tuple(sorted(tags.items())))


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Published:
    made = Published()
    monkeypatch.setattr(metrics.metrics, "Counter", made.kind(is_sum=True))
    monkeypatch.setattr(metrics.metrics, "Gauge", made.kind(is_sum=False))
    return made


def run_of(rows: dict[str, int], run: str = "out") -> RunMetrics:
    return RunMetrics(run, rows, lambda server: server.removeprefix("www."), now_s=0.0, wall_clock=lambda: 1000.0)


def progress_of(*deltas: ProgressDelta) -> Progress:
    progress = Progress()
    for delta in deltas:
        progress.add(delta, 5.0)
    return progress


DELTA = ProgressDelta(
    {("www.a", ""): 10, ("a", "dns"): 2, ("b", ""): 4}, 1000, holder="one", stored_bytes=300, decode_s=1.5,
    statuses={("a", "200"): 10, ("a", "connect"): 5, ("c", "503"): 2}, ttfb_s={"a": 2.0}, queues=(7, 2, 1),
)  # fmt: skip


def test_every_metric_is_described_and_has_the_tag_of_its_run(published: Published) -> None:
    run_of({"a": 1})
    assert published.descriptions == {
        name: (text, ("run", *tags)) for name, (text, tags) in {**COUNTERS, **GAUGES}.items()
    }


def test_rows_requests_and_queues_of_a_run(published: Published) -> None:
    run_of({"a": 20, "b": 10}, "out/gbif é").update(RunView(progress_of(DELTA)), now_s=10.0)
    assert published.runs == {"out/gbif %C3%A9"}, "Ray accepts ASCII only"
    assert (published.of("images"), published.of("errors", kind="dns")) == (14, 2)
    assert (published.of("bytes"), published.of("stored_bytes"), published.of("decode_seconds")) == (1000, 300, 1.5)
    assert published.of("requests", server="a", status="200") == 10
    assert published.of("requests", server="a", status="connect") == 5
    assert published.of("requests", server="other", status="503") == 2
    assert published.of("rows_left") == 14
    assert [published.of(f"queue_{name}") for name in ("rows", "in_flight", "bodies")] == [7, 2, 1]


def test_what_is_counted_is_counted_once(published: Published) -> None:
    run, progress = run_of({"a": 20, "b": 10}), progress_of(DELTA)
    run.update(RunView(progress), now_s=10.0)
    run.update(RunView(progress), now_s=20.0)
    assert (published.of("images"), published.of("bytes")) == (14, 1000)
    assert published.of("server_rows_per_s", server="a") == 0.0
    progress.add(DELTA, 25.0)
    run.update(RunView(progress), now_s=30.0)
    assert (published.of("images"), published.of("bytes"), published.of("rows_left")) == (28, 2000, -2)


def test_it_is_published_every_five_seconds_and_at_the_end(published: Published) -> None:
    run = run_of({"a": 20})
    run.update(RunView(progress_of(DELTA)), now_s=INTERVAL_S - 0.1)
    assert published.of("images") is None
    run.update(RunView(progress_of(DELTA), is_final=True), now_s=INTERVAL_S - 0.1)
    assert published.of("images") == 14
    run.update(RunView(progress_of(DELTA, DELTA)), now_s=2 * INTERVAL_S - 0.1)
    assert published.of("images") == 28


def test_a_server_is_shown_with_its_rate_and_how_much_of_it_is_used(published: Published) -> None:
    view = RunView(progress_of(DELTA), learned={"a": LearnedFacts(3.0), "b": LearnedFacts()})
    run_of({"a": 20, "b": 10}).update(view, now_s=10.0)
    shown = {
        name: [published.of(f"server_{name}", server=server) for server in ("a", "b", "other")]
        for name in ("rows_per_s", "rate", "budget_use", "ttfb_seconds")
    }
    assert shown == {
        "rows_per_s": [1.2, 0.4, 0.0],
        "rate": [3.0, 0.0, 0.0],
        "budget_use": [0.5, 0.0, 0.0],
        "ttfb_seconds": [0.2, 0.0, 0.0],
    }, "15 requests in 10 s; 10 of them were answered, in 2 s together"


def test_a_server_that_waits_says_how_long(published: Published) -> None:
    waiting = {
        "a": Waiting(WaitReason.RETRY_AFTER, 1060.0),
        "b": Waiting(WaitReason.DEFERRED, None),
        "c": Waiting(WaitReason.BACKOFF, 1030.0),
        "d": Waiting(WaitReason.BACKOFF, 900.0),
    }
    run_of({"a": 20, "b": 10}).update(RunView(Progress(), waiting=waiting), now_s=10.0)
    assert [published.of("server_paused", server=server) for server in ("a", "b", "other")] == [1, 1, 2]
    assert [published.of("server_pause_seconds", server=server) for server in ("a", "b")] == [60.0, 0.0]


def test_only_the_budgets_with_the_most_rows_have_a_name(published: Published) -> None:
    rows = {f"s{number}": number for number in range(NAMED_SERVERS + 5)}
    run_of(rows).update(RunView(Progress()), now_s=10.0)
    shown = {dict(tags)["server"] for tags in published.values["downloader_server_rate"]}
    assert shown == {"other", *(f"s{number}" for number in range(5, NAMED_SERVERS + 5))}
