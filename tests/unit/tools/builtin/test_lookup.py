"""One image is found by its uuid, wherever it lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.errors import UserError
from ray_downloader.tools.image_index import ImageIndex
from tests.support.stored import OLDER_SCHEMA, StoredRun, received, row, run_here


def index(run: StoredRun) -> ImageIndex:
    return ImageIndex(run.layout.tools / "lookup", run.layout.images)


def test_every_image_is_found_in_its_row_group(run: StoredRun) -> None:
    run_here(run.tool("lookup"))
    found = index(run)
    for uuid, stored in run.images().items():
        assert found.get(uuid) == stored
    place = found.find("c")
    assert place is not None
    assert (place.row_group, place.row) == (1, 0), "row groups hold two rows here"
    assert found.get("nobody") is None


def test_named_images_are_brought_as_files(run: StoredRun) -> None:
    run.add([row("../odd/name", received(4), encode="raw")], partition_id=7, schema=OLDER_SCHEMA)
    summary = run_here(run.tool("lookup", uuids=["b", "../odd/name"]))
    assert Path(summary["b"]).read_bytes() == run.images()["b"]["image"]
    raw = Path(summary["../odd/name"])
    assert raw.parent == run.layout.tools / "lookup" / "found"
    assert raw.read_bytes().startswith(b"\x89PNG")


def test_an_unknown_uuid_is_named(run: StoredRun) -> None:
    with pytest.raises(UserError, match="no image nobody"):
        run_here(run.tool("lookup", uuids="nobody"))


def test_the_index_follows_the_images(run: StoredRun) -> None:
    with pytest.raises(UserError, match="run tool=lookup first"):
        index(run)
    run_here(run.tool("lookup"))
    run.add([row("new", received(8))])
    with pytest.raises(UserError, match="changed after it was indexed"):
        index(run).get("a")
    assert run_here(run.tool("lookup"))["images"] == 3
    assert index(run).get("new") is not None
