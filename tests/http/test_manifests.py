"""Lists of IIIF manifests by URL: fetched over loopback before the partition, as politely as images."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest

from ray_downloader.config.contact import ContactCheck, require_contact
from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.manifests.reader import ManifestReader
from ray_downloader.partition import partition
from ray_downloader.partition.batches import load_batches, read_batch
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.signals import StopRequested
from tests.support.options import HostLimit, OriginOptions
from tests.support.running import RunningOrigin, running_origin

OPTIONS = OriginOptions(
    limits={"limited.example": HostLimit(rate_rps=1, burst=1, retry_after_s=1.0)},
    robots={"closed.example": "User-agent: ray_downloader\nDisallow: /presentation/\n"},
)


@pytest.fixture(scope="module")
def origin() -> Iterator[RunningOrigin]:
    with running_origin(OPTIONS) as running:
        yield running


class Run:
    """A run whose list names documents."""

    def __init__(self, folder: Path, origin: RunningOrigin, urls: list[str], **groups: Any) -> None:
        (folder / "list.txt").write_text("\n".join(urls) + "\n")
        config: dict[str, Any] = {
            "path_to_input": str(folder / "list.txt"),
            "path_to_output": str(folder / "out"),
            "dataset": {"name": "iiif"},
            "network": {"connect_to": origin.connect_to},
            "politeness": {"contact": "me@example.org"},
            "downloader_parameters": {"default_rate_limit": 50.0},
        }
        self.settings = Settings.from_config({**config, **groups})
        self.layout = RunLayout.of(self.settings)
        self.said: list[str] = []

    def partition(self) -> list[str]:
        """Partition the list; returns the URLs of its pictures."""
        contact = ContactCheck(self.settings, require_contact)
        reader = ManifestReader(self.settings, self.layout, contact, self.said.append)
        partition(self.settings, self.layout, self.said.append, read_documents=reader)
        return sorted(row["identifier"] for row in self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """Accepted rows."""
        return [row for batch in load_batches(self.layout) for row in read_batch(self.layout, batch).to_pylist()]

    def rejected(self) -> dict[str, tuple[str, int | None, str | None]]:
        """Reason, line and detail by URL."""
        rows = pq.read_table(self.layout.rejected_table).to_pylist()
        return {row["identifier"]: (row["reason"], row["line"], row["detail"]) for row in rows}


def picture(host: str, name: str) -> str:
    return f"http://{host}/images/{name}/full/max/0/default.jpg"


def test_a_list_of_manifests_becomes_its_pictures(origin: RunningOrigin, tmp_path: Path) -> None:
    shelf = "http://lib.example/presentation/shelf?books=" + quote("/presentation/c /status/410/manifest")
    top = "http://lib.example/presentation/top?shelves=" + quote(shelf.removeprefix("http://lib.example"))
    urls = [
        "http://lib.example/presentation/a/manifest.json?pages=2",
        "http://lib.example/images/x.jpg",
        top,
        "http://lib.example/status/404/manifest.json",
        "http://lib.example/html/manifest",
        "http://lib.example/presentation/a/manifest.json?pages=2",
        "http://lib.example/presentation/empty/manifest.json?pages=0",
    ]
    run = Run(tmp_path, origin, urls)
    pictures = [picture("lib.example", name) for name in ("a-0", "a-1", "c-0")]
    assert run.partition() == [*pictures, "http://lib.example/images/x.jpg"]
    rejected = run.rejected()
    assert {url: reason for url, (reason, _, _) in rejected.items()} == {
        urls[3]: "iiif_manifest",
        urls[4]: "iiif_manifest",
        urls[5]: "repeated",
        urls[6]: "iiif_manifest",
        "http://lib.example/status/410/manifest": "iiif_manifest",
    }
    assert rejected[urls[3]][1:] == (4, "http_4xx: HTTP status 404: status")
    assert rejected[urls[4]][1:] == (5, "not_image: what came is not JSON")
    assert rejected[urls[6]][1:] == (7, "it names no picture")
    assert rejected["http://lib.example/status/410/manifest"][2] == "http_4xx: HTTP status 410: status"
    row = next(row for row in run.rows() if row["identifier"].endswith("a-1/full/max/0/default.jpg"))
    assert row["source_id"] == f"{urls[0]}/canvas/1"
    assert row["license"] == "http://creativecommons.org/licenses/by/4.0/"
    assert "manifests: 2 of 5 read, 3 pictures in them" in run.said
    seen = origin.seen("lib.example")
    assert "ray_downloader" in seen[0].user_agent and "me@example.org" in seen[0].user_agent

    origin.forget()
    assert len(run.partition()) == 4
    assert origin.seen() == []  # what is known is not asked for again


def test_kept_columns_and_licences_of_the_list_reach_the_pictures(origin: RunningOrigin, tmp_path: Path) -> None:
    run = Run(tmp_path, origin, [], dataset={"name": "iiif", "keep": ["shelfmark"]})
    (tmp_path / "list.txt").write_text(
        "shelfmark,manifest\nMS 1,http://lib.example/presentation/a?pages=1\nMS 2,http://lib.example/presentation/b\n"
    )
    run.partition()
    assert {(row["identifier"], row["keep.shelfmark"]) for row in run.rows()} == {
        (picture("lib.example", "a-0"), "MS 1"),
        (picture("lib.example", "b-0"), "MS 2"),
    }


@pytest.mark.thorough
def test_limits_and_robots_are_those_of_images(origin: RunningOrigin, tmp_path: Path) -> None:
    urls = [f"http://limited.example/presentation/{n}/manifest" for n in range(3)]
    closed = [f"http://closed.example/presentation/{n}/manifest" for n in range(5)]
    run = Run(tmp_path, origin, urls + closed)
    assert run.partition() == [picture("limited.example", f"{n}-0") for n in range(3)]  # waited for, not given up
    assert [reason for reason, _, _ in run.rejected().values()] == ["iiif_manifest"] * 5
    assert next(iter(run.rejected().values()))[2] == "robots: robots.txt of closed.example excludes it"
    assert [seen.target for seen in origin.seen("closed.example")] == ["/robots.txt"]
    learned = json.loads(run.layout.servers_state_file.read_text())
    assert learned["limited.example"]["throttled"] >= 1  # the download continues with what was learned


def test_what_failed_for_a_reason_that_may_pass_is_requested_once_more_in_the_next_call(
    origin: RunningOrigin, tmp_path: Path
) -> None:
    network = {"connect_to": origin.connect_to, "max_attempts": 1}
    urls = ["http://lib.example/presentation/a", "http://lib.example/drop/manifest.json"]
    run = Run(tmp_path, origin, urls, network=network)
    run.partition()
    assert run.rejected()[urls[1]][2].startswith("truncated")  # type: ignore[union-attr]
    origin.forget()
    run.partition()
    assert [seen.target for seen in origin.seen()] == ["/drop/manifest.json"]


def test_a_stop_keeps_what_was_fetched_and_the_next_call_continues(
    origin: RunningOrigin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = ["http://lib.example/presentation/first/manifest", "http://slow.example/delay/presentation/manifest?s=0.2"]
    urls += [f"http://slow.example/presentation/{n}/manifest" for n in range(40)]
    run = Run(tmp_path, origin, urls, downloader_parameters={"default_rate_limit": 5.0})
    contact = ContactCheck(run.settings, require_contact)
    monkeypatch.setattr("ray_downloader.manifests.fetching.draining_on_signals", stopping_soon)
    with pytest.raises(StopRequested, match="SIGTERM"):
        reader = ManifestReader(run.settings, run.layout, contact, run.said.append)
        partition(run.settings, run.layout, run.said.append, read_documents=reader)
    assert not run.layout.batches_table.exists()
    monkeypatch.undo()
    before = {seen.target for seen in origin.seen() if seen.status == 200}
    assert 1 < len(before) < 41
    origin.forget()
    quick = Run(tmp_path, origin, urls, downloader_parameters={"default_rate_limit": 500.0})
    assert len(quick.partition()) == 41  # 42 of which one is no manifest
    again = {seen.target for seen in origin.seen()} & before
    assert len(again) <= 2  # in flight when the stop came


@contextmanager
def stopping_soon(drain: Callable[[str], None]) -> Iterator[None]:
    timer = threading.Timer(2.0, drain, ["SIGTERM"])
    timer.start()
    yield
    timer.cancel()


def test_public_servers_need_a_contact_in_every_mode(origin: RunningOrigin, tmp_path: Path) -> None:
    run = Run(
        tmp_path, origin, ["http://lib.museum.org/presentation/a/manifest"],
        politeness={}, network={}, mode="plan",
    )  # fmt: skip
    with pytest.raises(UserError, match=r"politeness\.contact is required"):
        run.partition()
