"""`base=`: what earlier runs have is taken without a request, whatever became of the list, the runs and the process."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from ray_downloader.config.settings import Settings
from ray_downloader.errors import UserError
from ray_downloader.monitor.plan import make_plan, plan_lines
from ray_downloader.monitor.reused import base_figures
from ray_downloader.monitor.run_report import NOTHING
from ray_downloader.monitor.summary import StageFigures, figures_of, save_summary, summarise
from ray_downloader.output.batch_folder import BatchFolder
from ray_downloader.output.journal import read_journal
from ray_downloader.output.reused import TAKEN
from ray_downloader.partition.batches import load_batches
from ray_downloader.partition.summary import load_partition_summary
from ray_downloader.profile.table import COLUMNS, load_rows, save_rows
from ray_downloader.report.gather import gather
from ray_downloader.report.pictures import Pictures
from ray_downloader.reuse import find_base_rows, require_base, take_base
from ray_downloader.run_folder.base_runs import load_base_plan
from ray_downloader.run_folder.layout import ERRORS, SUCCESSES, RunLayout
from ray_downloader.run_folder.retry_order import NO_RETRY
from ray_downloader.schedule.run_status import scan
from ray_downloader.status import text_of
from tests.support.earlier_run import FETCHED_AT, earlier_run, finish, picture_of
from tests.support.kills import Killed, killed_at
from tests.support.partitioned import partitioned_run

pytestmark = pytest.mark.stage

OLD = [f"http://{server}.example/{number:03d}.jpg" for server in ("a", "b") for number in range(30)]
NEW = ["http://a.example/new.jpg", "http://c.example/new.jpg"]


def a_run(folder: Path, urls: list[str], base: Path | list[Path], **groups: Any) -> tuple[Settings, RunLayout]:
    bases = [str(path) for path in ([base] if isinstance(base, Path) else base)]
    return partitioned_run(folder, urls, base=bases, **groups)


def reuse(settings: Settings, layout: RunLayout) -> None:
    require_base(settings, layout)
    find_base_rows(settings, layout)
    take_base(settings, layout, NO_RETRY, Console(file=io.StringIO()))


def taken(layout: RunLayout) -> dict[str, dict[str, Any]]:
    """The rows that need no request, by URL; those of a journal that a kill left may be published, too."""
    found = []
    for folder in layout.images.glob("*/*"):
        if (folder / SUCCESSES).exists():
            found += pq.ParquetFile(folder / SUCCESSES).read().to_pylist()
        for path in folder.glob(TAKEN):
            found += [row for batch in read_journal(path) for row in batch.to_pylist()]
    return {row["identifier"]: row for row in found}


def vanished(layout: RunLayout) -> list[dict[str, str]]:
    with layout.vanished_file.open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_an_earlier_run_has_is_settled_and_what_vanished_is_listed(tmp_path: Path) -> None:
    base = earlier_run(tmp_path / "old", OLD, failed=[OLD[3]])
    urls = [url for url in [*NEW, *reversed(OLD)] if url not in {OLD[0], OLD[40]}]
    settings, layout = a_run(tmp_path / "new", urls, base.root)
    reuse(settings, layout)
    rows = taken(layout)
    assert set(rows) == set(OLD) - {OLD[0], OLD[3], OLD[40]}
    assert all(row["image"] == picture_of(url) for url, row in rows.items())
    assert {row["reused"] for row in rows.values()} == {"linked"}
    assert {row["fetched_at"] for row in rows.values()} == {FETCHED_AT}
    status = scan(layout, load_batches(layout))
    assert sum(status.rows_left.values()) == len(NEW) + 1, "an error of the earlier run is tried again"
    assert [(row["identifier"], row["was"], row["base"]) for row in vanished(layout)] == [
        (OLD[0], "success", str(base.root)),
        (OLD[40], "success", str(base.root)),
    ]


def test_a_batch_that_earlier_runs_have_whole_is_published_at_once(tmp_path: Path) -> None:
    base = earlier_run(tmp_path / "old", OLD)
    settings, layout = a_run(tmp_path / "new", OLD, base.root)
    reuse(settings, layout)
    status = scan(layout, load_batches(layout))
    assert not status.work
    assert status.reused == {"linked": len(OLD)}
    assert not layout.vanished_file.exists()


def test_what_the_list_says_now_is_stored_with_the_earlier_picture(tmp_path: Path) -> None:
    row = "id,url,license,title,sex\n{0},http://a.example/1.jpg,{1},{2},{3}\n"
    columns = {"identifier": "url", "source_id": "id"}
    dataset = {"dataset": {"columns": columns, "keep": ["sex"]}, "downloader_parameters": {"header": True}}
    base = earlier_run(tmp_path / "old", [row.format(7, "CC0", "old", "f").strip()], **dataset)
    settings, layout = a_run(tmp_path / "new", [row.format(7, "CC-BY", "new", "m").strip()], base.root, **dataset)
    reuse(settings, layout)
    found = taken(layout)["http://a.example/1.jpg"]
    assert (found["source_id"], found["license"], found["title"], found["sex"]) == ("7", "CC-BY", "new", "m")


def test_a_row_is_known_by_its_source_id_and_its_url(tmp_path: Path) -> None:
    head = "id,url"
    dataset = {
        "dataset": {"columns": {"identifier": "url", "source_id": "id"}},
        "downloader_parameters": {"header": True},
    }
    base = earlier_run(tmp_path / "old", [head, "1,http://a.example/1.jpg", "2,http://a.example/2.jpg"], **dataset)
    rows = ["1,http://a.example/1.jpg", "3,http://a.example/2.jpg", "2,http://a.example/1.jpg"]
    settings, layout = a_run(tmp_path / "new", [head, *rows], base.root, **dataset)
    reuse(settings, layout)
    assert [(row["source_id"], url) for url, row in taken(layout).items()] == [("1", "http://a.example/1.jpg")]
    assert [row["source_id"] for row in vanished(layout)] == ["2"]


def test_of_several_earlier_runs_the_first_that_has_a_row_counts(tmp_path: Path) -> None:
    first, second = earlier_run(tmp_path / "1", OLD[:40]), earlier_run(tmp_path / "2", OLD[20:])
    settings, layout = a_run(tmp_path / "new", OLD[:50], [first.root, second.root])
    reuse(settings, layout)
    assert set(taken(layout)) == set(OLD[:50])
    plan = find_base_rows(settings, layout)
    assert plan is not None
    assert {row["base"] for row in vanished(layout)} == {str(second.root)}
    used = pq.read_table(layout.base_table).column("file").to_pylist()
    runs = [plan.files[number][0] for number in used]
    assert (runs.count(0), runs.count(1)) == (40, 10)


def test_passwords_in_urls_do_not_hide_that_a_row_is_known(tmp_path: Path) -> None:
    url = "http://me:secret@a.example/1.jpg"
    base = earlier_run(tmp_path / "old", [url])
    settings, layout = a_run(tmp_path / "new", [url], base.root)
    reuse(settings, layout)
    assert set(taken(layout)) == {"http://a.example/1.jpg"}


@pytest.mark.parametrize("how", ["truncated", "overwritten", "removed", "unfinished"])
def test_what_is_damaged_in_an_earlier_run_is_left_to_be_fetched(tmp_path: Path, how: str) -> None:
    base = earlier_run(tmp_path / "old", OLD)
    folder = base.batch_folder("a.example", 0)
    path = folder / SUCCESSES
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[:-100])
    elif how == "overwritten":  # its end is whole, so only reading its pages shows it
        at = content.index(picture_of(OLD[0])[:30])
        path.write_bytes(content[:at] + b"\0" * 500 + content[at + 500 :])
    elif how == "removed":
        path.unlink()
    else:
        (folder / "_completed").unlink()
    settings, layout = a_run(tmp_path / "new", OLD, base.root)
    reuse(settings, layout)
    assert set(taken(layout)) == {url for url in OLD if "//b." in url}
    assert scan(layout, load_batches(layout)).rows_left == {"a.example": 30}


def test_a_table_that_was_replaced_between_plan_and_taking_gives_no_wrong_picture(tmp_path: Path) -> None:
    base, other = earlier_run(tmp_path / "old", OLD), earlier_run(tmp_path / "other", [f"{url}?2" for url in OLD])
    settings, layout = a_run(tmp_path / "new", OLD, base.root)
    find_base_rows(settings, layout)
    shutil.copy(other.batch_folder("a.example", 0) / SUCCESSES, base.batch_folder("a.example", 0) / SUCCESSES)
    take_base(settings, layout, NO_RETRY, Console(file=io.StringIO()))
    assert set(taken(layout)) == {url for url in OLD if "//b." in url}


def test_a_kill_at_any_point_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = earlier_run(tmp_path / "old", OLD)
    monkeypatch.setattr("ray_downloader.reuse.usable_cpus", lambda: 1)
    settings, layout = a_run(tmp_path / "new", [*OLD, *NEW], base.root)
    effect = 0
    while True:
        effect += 2
        shutil.rmtree(layout.images, ignore_errors=True)
        layout.base_file.unlink(missing_ok=True)
        try:
            with killed_at(effect, monkeypatch):
                reuse(settings, layout)
        except Killed:
            reuse(settings, layout)
            assert set(taken(layout)) == set(OLD), effect
        else:
            break
    assert effect > 10


def test_a_moved_earlier_run_is_named_anew_and_is_not_needed_once_everything_is_taken(tmp_path: Path) -> None:
    base = earlier_run(tmp_path / "old", OLD)
    settings, layout = a_run(tmp_path / "new", [*OLD, *NEW], base.root)
    find_base_rows(settings, layout)
    moved = base.root.rename(tmp_path / "moved")
    with pytest.raises(UserError, match=r"base=.*old.* is not a folder: name the path_to_output .*new place"):
        require_base(settings, layout)
    settings = settings.model_copy(update={"base": (str(moved),)})
    reuse(settings, layout)
    assert set(taken(layout)) == set(OLD)
    shutil.rmtree(moved)
    reuse(settings, layout)
    assert set(taken(layout)) == set(OLD)


def test_new_rows_of_a_list_that_was_extended_are_looked_up_too(tmp_path: Path) -> None:
    base = earlier_run(tmp_path / "old", OLD)
    settings, layout = a_run(tmp_path / "new", OLD[:30], base.root)
    reuse(settings, layout)
    settings, layout = a_run(tmp_path / "new", OLD[:50], base.root)  # as `list=extend` leaves it: other batches
    reuse(settings, layout)
    assert set(taken(layout)) == set(OLD[:50])


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"downloader_parameters": {"image_size": 128}}, "downloader_parameters.image_size=224 there, 128 here"),
        ({"image": {"quality": 80}}, "image.quality=95 there, 80 here): store pictures as there with image.quality=95"),
    ],
    ids=["size", "quality"],
)
def test_pictures_of_another_kind_are_refused_with_the_choices(
    tmp_path: Path, groups: dict[str, Any], said: str
) -> None:
    base = earlier_run(tmp_path / "old", OLD)
    settings, layout = a_run(tmp_path / "new", OLD, base.root, **groups)
    with pytest.raises(UserError) as raised:
        require_base(settings, layout)
    assert said in str(raised.value)
    assert "leave base out" in str(raised.value)


def test_pictures_of_another_kind_within_an_earlier_run_are_fetched(tmp_path: Path) -> None:
    """`image.changed=new` stores pictures of two kinds in one run; each file says which it has."""
    other = {"image": {"quality": 80}}
    base = earlier_run(tmp_path / "old", OLD, **other)
    shutil.copy(earlier_run(tmp_path / "other", OLD).run_file, base.run_file)
    settings, layout = a_run(tmp_path / "new", OLD, base.root)
    reuse(settings, layout)
    assert not taken(layout)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "is not a folder"),
        (lambda folder: folder.mkdir(), "is not a run folder: it has no settings.json"),
        (lambda folder: (folder / "urls" / "server_name=a").mkdir(parents=True), "of distributed-downloader"),
    ],
    ids=["missing", "empty", "legacy"],
)
def test_a_folder_that_is_no_earlier_run_is_named(tmp_path: Path, make: Any, said: str) -> None:
    make(tmp_path / "old")
    settings, layout = a_run(tmp_path / "new", OLD, tmp_path / "old")
    with pytest.raises(UserError, match=said):
        require_base(settings, layout)


def test_a_run_is_not_its_own_base_and_refetch_needs_one(tmp_path: Path) -> None:
    settings, layout = a_run(tmp_path / "new", OLD, tmp_path / "new" / "out")
    with pytest.raises(UserError, match="is the path_to_output of this run"):
        require_base(settings, layout)
    alone = settings.model_copy(update={"base": (), "refetch": "changed"})
    with pytest.raises(UserError, match="refetch=changed is about the pictures of base"):
        require_base(alone, layout)


def test_results_of_tools_in_an_earlier_run_are_refused(tmp_path: Path) -> None:
    base = earlier_run(tmp_path / "old", OLD)
    applied = base.tools / "resize" / "applied" / "manifest.json"
    applied.parent.mkdir(parents=True)
    applied.write_text('{"images": {}}')
    settings, layout = a_run(tmp_path / "new", OLD, base.root)
    with pytest.raises(UserError, match=r"results of tools replace its images \(resize\)"):
        require_base(settings, layout)


def test_a_row_whose_list_states_another_checksum_is_fetched(tmp_path: Path) -> None:
    from hashlib import md5

    dataset = {
        "dataset": {"columns": {"identifier": "url", "md5": "md5"}},
        "downloader_parameters": {"header": True},
    }
    sums = [f"{url},{md5(url.encode()).hexdigest()}" for url in OLD[:2]]
    base = earlier_run(tmp_path / "old", ["url,md5", *sums], **dataset)
    changed = f"{OLD[1]},{md5(b'other').hexdigest()}"
    settings, layout = a_run(tmp_path / "new", ["url,md5", sums[0], changed], base.root, **dataset)
    reuse(settings, layout)
    assert {url: row["checksum_ok"] for url, row in taken(layout).items()} == {OLD[0]: True}


def test_what_would_not_be_stored_now_is_asked_again(tmp_path: Path) -> None:
    base = earlier_run(tmp_path / "old", OLD)
    settings, layout = a_run(tmp_path / "new", OLD, base.root, image={"min_size": 301})
    reuse(settings, layout)
    assert not taken(layout)


def test_profiles_of_earlier_runs_are_taken_over(tmp_path: Path) -> None:
    base = earlier_run(tmp_path / "old", OLD)
    line = dict.fromkeys(COLUMNS, "")
    save_rows(base, [{**line, "server_name": name, "rate_limit": "7"} for name in ("a.example", "elsewhere.example")])
    settings, layout = a_run(tmp_path / "new", [*OLD, *NEW], base.root)
    find_base_rows(settings, layout)
    assert {name: row["rate_limit"] for name, row in load_rows(layout).items()} == {"a.example": "7"}


def test_the_published_folder_reads_like_any_other(tmp_path: Path) -> None:
    base = earlier_run(tmp_path / "old", OLD)
    settings, layout = a_run(tmp_path / "new", [*OLD, *NEW], base.root)
    reuse(settings, layout)
    finish_new = scan(layout, load_batches(layout))
    assert finish_new.settled_rows == len(OLD)
    finish(settings, layout)
    rows = taken(layout)
    assert set(rows) == {*OLD, *NEW}
    for folder in layout.images.glob("*/*"):
        assert BatchFolder(folder).verify() == []
        assert not list(folder.glob("*.arrows"))
        assert pq.read_metadata(folder / ERRORS).num_rows == 0


def test_plan_summary_status_and_report_count_the_same_rows(tmp_path: Path) -> None:
    first = earlier_run(tmp_path / "1", OLD[:40], failed=[OLD[3]])
    second = earlier_run(tmp_path / "2", [*OLD[20:], "http://d.example/gone.jpg"])
    settings, layout = a_run(tmp_path / "new", [*OLD, *NEW], [first.root, second.root])
    require_base(settings, layout)
    find_base_rows(settings, layout)
    for _ in range(2):  # also once everything is taken, nothing is counted twice
        plan = make_plan(settings, layout, {})
        assert plan["base"] == {"rows": 59, "vanished": 1, "refetch": None}
        assert plan["rows"]["left"] == sum(server["rows"] for server in plan["servers"]) == 3
        assert "base: 59 rows are taken without a request; 1 rows of earlier runs" in "\n".join(plan_lines(plan))
        take_base(settings, layout, NO_RETRY, Console(file=io.StringIO()))
    finish(settings, layout)
    done = scan(layout, load_batches(layout))
    summary = summarise(load_partition_summary(layout), done, StageFigures(1.0, 3, 100, {}))
    found = load_base_plan(layout)
    assert found is not None
    summary["base"] = base_figures(found, done.reused, layout.vanished_file.name)
    assert summary["rows"]["successes"] == 62
    assert (summary["base"]["linked"], summary["base"]["vanished"]) == (59, 1)
    save_summary(layout, summary)
    words = "59 images taken without a request, 0 not modified (304); 1 of their rows are not in the list any more"
    assert f"base     {words}" in text_of({**NOTHING, "state": "finished", "stage": "", **figures_of(summary)})
    report = gather(layout.root, Pictures.NONE, 0.0)
    assert words in report["totals"]["base"]
    assert (report["totals"]["images"], report["totals"]["left"]) == (62, 0)
