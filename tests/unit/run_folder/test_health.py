"""Files of a run folder that are damaged: each is named with its consequence, and set aside."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.errors import RunFolderError
from ray_downloader.run_folder import health
from ray_downloader.run_folder.health import damaged_url_tables, set_damaged_aside, set_files_aside
from ray_downloader.run_folder.layout import RunLayout
from tests.support.out_of_reach import no_more_files
from tests.support.partitioned import partitioned_run


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    return RunLayout.of(Settings.from_config({"path_to_input": "list.txt", "path_to_output": tmp_path}))


def test_a_sound_folder_and_an_empty_one_have_no_damage(layout: RunLayout) -> None:
    assert list(set_damaged_aside(layout)) == []
    rows = {"input": 2, "rejected": 0, "successes": 1, "errors": 0}
    download = {"seconds": 1, "images_per_s": 1.0, "bytes": 7}
    summary = {"rows": rows, "unsettled_rows": 1, "errors_by_kind": {}, "download": download, "of a later version": 7}
    layout.summary_file.write_text(json.dumps(summary))
    assert list(set_damaged_aside(layout)) == []
    assert layout.summary_file.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"[]", "it is not a JSON object"),
        (b"\xff\xfe\x00", "it is not text"),
        (b"{", "Expecting"),
    ],
    ids=["empty", "list", "bytes", "cut"],
)
def test_a_damaged_file_is_named_and_set_aside(layout: RunLayout, content: bytes, words: str) -> None:
    layout.checkpoint_file.parent.mkdir(parents=True, exist_ok=True)
    layout.checkpoint_file.write_bytes(content)
    (sentence,) = set_damaged_aside(layout)
    assert sentence.startswith(f"{layout.checkpoint_file} is damaged ({words}")
    assert sentence.endswith(": it is written anew")
    assert not layout.checkpoint_file.exists()
    assert layout.checkpoint_file.with_name(f"damaged-{layout.checkpoint_file.name}").read_bytes() == content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "it is empty"),
        ("server_name,rate_limit\n\0\n", "it is not text"),
        ("server_name,other\n", "it has no column 'rate_limit'"),
        ("server_name,rate_limit\na,1\nb\n", "line 3 is not whole"),
    ],
)
def test_profiles_that_are_not_whole_are_measured_again(layout: RunLayout, content: str, words: str) -> None:
    layout.profiles_table.write_text(content)
    assert list(set_damaged_aside(layout)) == [
        f"{layout.profiles_table} is damaged ({words}): the servers are profiled again"
    ]


@pytest.mark.parametrize("state", [3, {}, {"saved_at_unix_s": "x"}])
def test_states_that_are_none_are_learned_again(layout: RunLayout, state: object) -> None:
    layout.servers_state_file.parent.mkdir(parents=True, exist_ok=True)
    layout.servers_state_file.write_text(json.dumps({"a.org": state}))
    (sentence,) = set_damaged_aside(layout)
    assert "the entry of a.org is not a state" in sentence


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (1, "line 1"),
        (5, "line 1, 2, 3, 4, 5"),
        (6, "line 1, 2, 3, 4, 5 and 1 more"),
        (7, "line 1, 2, 3, 4, 5 and 2 more"),
    ],
)
def test_damaged_orders_are_left_out_and_the_others_apply(layout: RunLayout, bad: int, words: str) -> None:
    layout.orders_file.parent.mkdir(parents=True, exist_ok=True)
    layout.orders_file.write_text("nonsense\n" * bad)
    (sentence,) = set_damaged_aside(layout)
    assert sentence == f"{layout.orders_file} is damaged ({words}): these orders are left out, the others apply"
    assert layout.orders_file.exists(), "it is the operator's"


@pytest.mark.parametrize(
    ("name", "consequence"),
    [
        ("settings_file", "it is written anew"),
        ("run_file", "the list is compared with the rows of the run"),
        ("checkpoint_file", "it is written anew"),
        ("progress_file", "it is written anew"),
        ("summary_file", "it is written anew"),
        ("reset_file", "it only tells a requeued job that it was reset before"),
        ("retry_order_file", "errors are retried only if retry_errors is given again"),
        ("servers_state_file", "what was learned about servers is learned again"),
        ("profiles_table", "the servers are profiled again"),
    ],
)
def test_each_small_file_is_checked_and_its_loss_has_a_consequence(
    layout: RunLayout, name: str, consequence: str
) -> None:
    path: Path = getattr(layout, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[1]")
    (sentence,) = set_damaged_aside(layout)
    assert sentence.startswith(f"{path} is damaged (") and sentence.endswith(f"): {consequence}")
    assert [one.name for one in path.parent.iterdir() if one.is_file()] == [f"damaged-{path.name}"]
    path.mkdir()
    (sentence,) = set_damaged_aside(layout)
    assert sentence == f"{path} is damaged (Is a directory): {consequence}"


@pytest.mark.parametrize("name", ["urls", "schedules", "robots", "logs", "images", "tools", "manifests"])
def test_whatever_is_in_the_place_of_a_folder_is_set_aside(layout: RunLayout, name: str) -> None:
    path: Path = getattr(layout, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    aside = path.with_name(f"damaged-{path.name}")
    assert set_files_aside(layout) == [f"{path} is not a folder, so it is damaged; it is {aside} now"]
    assert aside.read_text() == "x"
    path.mkdir()
    assert set_files_aside(layout) == []


@pytest.mark.parametrize("name", ["batches.parquet", "servers.parquet", "rejected.parquet"])
def test_a_flipped_bit_anywhere_in_a_table_of_urls_is_noticed_or_changes_nothing(tmp_path: Path, name: str) -> None:
    urls = [*(f"http://s{n % 7}.example/p/{n}.jpg" for n in range(70)), "ftp://x.example/y", "nope"]
    _, layout = partitioned_run(tmp_path, urls, downloader_parameters={"pool_below": 5, "batch_size": 5})
    path = layout.urls / name
    sound, content = pq.read_table(path), path.read_bytes()
    for place in range(len(content) % 7, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :])
        if not list(damaged_url_tables(layout)):
            assert pq.read_table(path).equals(sound), place


def test_changes_of_states_that_are_no_file_are_set_aside(layout: RunLayout) -> None:
    layout.server_changes_file.mkdir(parents=True)
    (sentence,) = set_damaged_aside(layout)
    assert sentence.startswith(f"{layout.server_changes_file} is damaged (it is not a file): it is ")
    assert not layout.server_changes_file.exists()


@pytest.mark.parametrize("state", [3, 3.5])
def test_states_and_profiles_that_are_whole_stay(layout: RunLayout, state: float) -> None:
    layout.servers_state_file.parent.mkdir(parents=True, exist_ok=True)
    layout.servers_state_file.write_text(json.dumps({"a.org": {"saved_at_unix_s": state}}))
    layout.profiles_table.write_text("server_name,rate_limit\na,1\n\nb,2,surplus\n")
    assert list(set_damaged_aside(layout)) == []


def test_what_is_not_a_folder_or_not_a_file_is_set_aside(layout: RunLayout) -> None:
    for path in (layout.images, layout.logs, layout.schedules, layout.tools):
        path.write_text("x")
    layout.manifests.symlink_to(layout.manifests.name)
    found = set_files_aside(layout)
    assert len(found) == 5 and all("is not a folder" in sentence and "/damaged-" in sentence for sentence in found)
    assert not layout.images.exists() and set_files_aside(layout) == []
    layout.orders_file.mkdir(parents=True)
    (sentence,) = set_damaged_aside(layout)
    assert sentence.startswith(f"{layout.orders_file} is damaged (it is not a file)")
    assert not layout.orders_file.exists()


@pytest.mark.parametrize("name", ["images", "urls", "tools"])
def test_a_link_to_a_disk_that_is_not_mounted_is_neither_damaged_nor_replaced(
    layout: RunLayout, tmp_path: Path, name: str
) -> None:
    path: Path = getattr(layout, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(tmp_path / "disk")
    with pytest.raises(RunFolderError, match=rf"{name} is a link to .*disk, which is not there: mount its disk"):
        set_files_aside(layout)
    assert path.is_symlink()
    (tmp_path / "disk").mkdir()
    assert set_files_aside(layout) == []


def test_a_link_whose_disk_does_not_answer_is_not_set_aside(
    layout: RunLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(*_: object, **__: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    layout.images.symlink_to(tmp_path / "disk")
    with monkeypatch.context() as patched, pytest.raises(RunFolderError, match="Stale file handle"):
        patched.setattr(Path, "stat", stale)
        patched.setattr(Path, "is_symlink", lambda path: path == layout.images)
        set_files_aside(layout)
    assert layout.images.is_symlink()


@pytest.mark.parametrize("name", ["checkpoint_file", "profiles_table"])
def test_a_small_file_out_of_reach_is_not_set_aside(
    layout: RunLayout, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path: Path = getattr(layout, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")
    checks = health._checks(layout)
    monkeypatch.setattr(health, "_checks", lambda _: [check for check in checks if check[0] == path])
    with no_more_files(), pytest.raises(RunFolderError, match="too many files are open"):
        list(set_damaged_aside(layout))
    assert path.read_text() == "{}"


def changed(table: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    return lambda path: pq.write_table(table(pq.read_table(path)), path)


def one_less(table: pa.Table) -> pa.Table:
    return table.slice(1)


def twice(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table, table])


def of_other_columns(_table: pa.Table) -> pa.Table:
    return pa.table({"a": [1]})


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("batches", one_less, "batches.parquet is damaged (2 rows in 1 batches, not 14)"),
        ("batches", twice, "batches.parquet is damaged (28 rows in 2 batches, not 14)"),
        ("batches", of_other_columns, "batches.parquet is damaged (it has no column 'file')"),
        ("servers", of_other_columns, "servers.parquet is damaged (it has no column 'rows')"),
        ("rejected", one_less, "rejected.parquet is damaged (0 rows, not 1)"),
        ("rejected", of_other_columns, "rejected.parquet is damaged (it has no column 'reason')"),
        ("rows-00000", one_less, "rows-00000.parquet is damaged (1 of its 2 parts are left)"),
    ],
)
def test_tables_of_urls_that_can_be_read_are_those_of_one_partition(
    tmp_path: Path, name: str, change: Callable[[pa.Table], pa.Table], words: str
) -> None:
    urls = [*(f"http://a.example/{number}.jpg" for number in range(12)), "nonsense"]
    urls += [f"http://b.example/{number}.jpg" for number in range(2)]
    _, layout = partitioned_run(tmp_path, urls, downloader_parameters={"pool_below": 1})
    assert list(damaged_url_tables(layout)) == []
    changed(change)(layout.urls / f"{name}.parquet")
    assert [sentence.rpartition("/")[2] for sentence in damaged_url_tables(layout)] == [words]


def test_each_part_of_a_file_has_its_rows(tmp_path: Path) -> None:
    _, layout = partitioned_run(tmp_path, [f"http://a.example/{number}.jpg" for number in range(12)])
    (path,) = layout.urls.glob("rows-*.parquet")
    changed(one_less)(path)
    assert list(damaged_url_tables(layout)) == [f"{path} is damaged (part 0 has 11 rows, not 12)"]


def test_counts_of_another_version_are_read_and_others_are_damage(tmp_path: Path) -> None:
    _, layout = partitioned_run(tmp_path, [f"http://a.example/{number}.jpg" for number in range(12)])
    path = layout.partition_summary_file
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "of a later version": 7}))
    assert list(damaged_url_tables(layout)) == []
    path.write_text(json.dumps({**document, "accepted_rows": None}))
    (sentence,) = damaged_url_tables(layout)
    assert sentence.startswith(f"{path} is damaged (unexpected content")


def test_tables_of_urls_are_checked_at_their_ends(tmp_path: Path) -> None:
    _, layout = partitioned_run(tmp_path, [f"http://a.example/{number}.jpg" for number in range(12)])
    assert list(damaged_url_tables(layout)) == []
    (rows,) = layout.urls.glob("rows-*.parquet")
    content = rows.read_bytes()
    rows.write_bytes(content[:-30])
    (sentence,) = damaged_url_tables(layout)
    assert sentence.startswith(f"{rows} is damaged (")
    rows.unlink()
    assert list(damaged_url_tables(layout)) == [f"{rows} is damaged (it is missing)"]
    rows.write_bytes(content)
    layout.servers_table.unlink()
    layout.partition_summary_file.unlink()
    assert list(damaged_url_tables(layout)) == [
        f"{layout.partition_summary_file} is damaged (it is missing)",
        f"{layout.servers_table} is damaged (it is missing)",
    ]
    layout.rejected_table.unlink()
    layout.rejected_table.symlink_to(layout.rejected_table.name)
    assert f"{layout.rejected_table} is damaged (it is missing)" in list(damaged_url_tables(layout))
    layout.batches_table.unlink()
    assert list(damaged_url_tables(layout)) == [], "nothing was partitioned"


@pytest.mark.parametrize(
    ("name", "rows", "column"), [("rejected_table", 2, "identifier"), ("servers_table", 7, "server_name")]
)
def test_a_table_whose_parts_have_other_rows_than_the_whole_is_damaged(
    tmp_path: Path, name: str, rows: int, column: str
) -> None:
    """With one bit flipped in its end it was read as empty."""
    urls = [*(f"http://s{n % 7}.example/p/{n}.jpg" for n in range(70)), "ftp://x.example/y", "nope"]
    _, layout = partitioned_run(tmp_path, urls)
    path, found = Path(getattr(layout, name)), 0
    content = path.read_bytes()
    count = bytes([rows << 1])  # as the end of a table has a number of rows
    end = range(max(0, len(content) - 2000), len(content))
    for place in (place for place in end if content[place : place + 1] == count):
        for bit in range(8):
            path.write_bytes(content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :])
            try:
                whole = pq.read_metadata(path)
                groups = [whole.row_group(number).num_rows for number in range(whole.num_row_groups)]
            except (pa.ArrowException, OSError, ValueError):
                continue
            if sum(groups) != whole.num_rows and pq.ParquetFile(path).schema_arrow.names[0] == column:
                found += 1
                assert list(damaged_url_tables(layout)), (place, bit)
    assert found
