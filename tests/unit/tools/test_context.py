"""Which batches a tool works on, and what makes one request another one."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ray_downloader.config.settings import Settings
from ray_downloader.errors import RunFolderError, UserError
from ray_downloader.run_folder.work_folder import WorkNote
from ray_downloader.tools.context import StoredBatch, ToolContext, fingerprint, finished_batches, stamp_of
from tests.support.stored import StoredRun, received, row


def context(
    root: Path, is_format_given: bool = False, image: dict[str, Any] | None = None, **parameters: Any
) -> ToolContext:
    values = {"path_to_input": "", "path_to_output": root, "tools_parameters": parameters, "image": image or {}}
    return ToolContext("resize", Settings.from_config(values), is_format_given)


def test_finished_batches_are_known_by_server_and_number_in_a_fixed_order(run: StoredRun) -> None:
    run.add([row("z", received(1))], "a.example", 10)
    run.add([row("y", received(1))], "a.example", 9)
    images = run.layout.images
    found = finished_batches(images)
    assert {(batch.server_name, batch.partition_id) for batch in found} == {
        ("a.example", 0), ("a.example", 9), ("a.example", 10), ("b.example:8080", 3),
    }  # fmt: skip
    assert [batch.path for batch in found] == sorted(batch.path for batch in found)
    assert found[-1].place == Path("server_name=b.example%3A8080", "partition_id=3")
    assert found[-1].path == images / found[-1].place / "successes.parquet"


def test_a_batch_that_is_under_way_does_not_take_part(run: StoredRun) -> None:
    first, second = (batch.path.parent for batch in finished_batches(run.layout.images))
    (first / "errors-1.arrows").touch()
    assert [batch.path.parent for batch in finished_batches(run.layout.images)] == [second]
    (second / "successes.parquet").unlink()
    assert finished_batches(run.layout.images) == []


def test_a_stamp_changes_with_size_and_time(tmp_path: Path) -> None:
    batch = StoredBatch("a.example", 0, tmp_path / "successes.parquet")
    stamps = set()
    for size, time_ns in ((1, 5), (2, 5), (1, 6), (11, 5), (1, 15)):
        batch.path.write_bytes(bytes(size))
        os.utime(batch.path, ns=(0, time_ns))
        stamps.add(batch.stamp)
    assert len(stamps) == 5


def test_the_stamp_of_several_changes_with_each_of_them_and_with_their_number(run: StoredRun) -> None:
    first, second = finished_batches(run.layout.images)
    stamps = [stamp_of([]), stamp_of([first]), stamp_of([second]), stamp_of([first, second])]
    os.utime(second.path, ns=(0, 5))
    stamps.append(stamp_of([first, second]))
    assert len(set(stamps)) == 5
    assert stamp_of([first, second]) == stamp_of([second, first]) == stamps[-1]


def test_a_tool_has_its_folder_below_that_of_all_tools(tmp_path: Path) -> None:
    assert context(tmp_path).folder == tmp_path / "tools" / "resize"
    assert context(tmp_path, threshold_size=7).parameters.threshold_size == 7


def test_a_folder_without_finished_batches_is_refused_by_name(tmp_path: Path, run: StoredRun) -> None:
    with pytest.raises(UserError, match=f"{tmp_path / 'none' / 'images'}.*no finished batch.*download first"):
        context(tmp_path / "none").require_batches()
    given = context(run.root)
    given.require_batches()
    assert len(given.batches) == 2


@pytest.mark.parametrize(
    "parameters",
    [
        {"num_workers": 3}, {"max_nodes": 2}, {"workers_per_node": 2}, {"cpu_per_worker": 0.5}, {"apply": True},
        {"undo": True}, {"reset": "filtering"}, {"modules": ["a.py"]},
    ],
)  # fmt: skip
def test_how_a_tool_is_run_does_not_make_another_request(tmp_path: Path, parameters: dict[str, Any]) -> None:
    assert context(tmp_path, **parameters).request == context(tmp_path).request


def test_what_comes_of_a_tool_makes_another_request(tmp_path: Path) -> None:
    plain = context(tmp_path)
    assert context(tmp_path, new_resize_size=7).request != plain.request
    assert context(tmp_path, image={"encode": "png"}).request == plain.request, "the run's own format"
    png = context(tmp_path, True, image={"encode": "png"})
    assert png.request != plain.request
    assert png.request != context(tmp_path, True, image={"encode": "webp"}).request
    assert replace(png, name="export").request == png.request


def test_images_keep_their_format_unless_one_is_given(tmp_path: Path) -> None:
    plain = ToolContext("resize", context(tmp_path).settings)
    assert not plain.is_format_given
    assert plain.request == context(tmp_path, False).request


def test_equal_parameters_have_one_name_in_whatever_order() -> None:
    assert fingerprint({"a": 1, "b": Path("x")}) == fingerprint({"b": Path("x"), "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert len(fingerprint({})) == 16
    assert fingerprint({"a": 1}) == "f9d86028c6e0d64e", "markers of earlier versions name it so"


@pytest.mark.parametrize("content", [b"", b"PAR1", b"noise" * 20])
def test_a_damaged_table_is_named_before_a_tool_begins(run: StoredRun, content: bytes) -> None:
    path = next(run.layout.images.rglob("successes.parquet"))
    path.write_bytes(content)
    with pytest.raises(RunFolderError, match=rf"{re.escape(str(path))} is damaged.* fetches what it has lost again"):
        run.tool("stats").context.require_batches()


def test_a_folder_of_a_run_in_a_store_is_shown_as_its_url(run: StoredRun) -> None:
    tool = run.tool("stats").context
    assert tool.shown(tool.folder) == str(run.layout.tools / "stats")
    WorkNote(url="s3://bucket/run", work="w1").save(run.root)
    assert tool.shown(tool.folder) == "s3://bucket/run/tools/stats"
