"""Camera trap and Audubon Core media: where the bytes are, and which of them are to be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lists import partitioned, real_data

MEDIA = {"name": "camtrapdp"}


def test_media_of_a_camera_trap_are_public_images_on_the_web(tmp_path: Path) -> None:
    result = partitioned(
        real_data("lists/camtrapdp/example_media.csv"), tmp_path / "out", {**MEDIA, "license": "CC0-1.0"}
    )
    assert result.summary.rejected_by_reason == {"not_public": 60, "local_path": 10}
    assert {row["license"] for row in result.rows()} == {"CC0-1.0"}


def test_videos_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "media.csv").write_text(
        "mediaID,filePath,filePublic,fileMediatype\n"
        "1,http://a.example/1.mp4,true,video/mp4\n2,http://a.example/2.jpg,true,image/jpeg\n"
    )
    result = partitioned(tmp_path / "media.csv", tmp_path / "out", MEDIA)
    assert [row["source_id"] for row in result.rows()] == ["2"]
    assert result.summary.rejected_by_reason == {"not_an_image": 1}


@pytest.mark.parametrize(
    ("name", "rows", "creator"),
    [
        ("audubon_core_multimedia.txt", 1, "Robin Delapena : Field Museum"),
        ("nhm_escaped_quotes_multimedia.csv", 4, "The Trustees of the Natural History Museum, London"),
        ("symbiota_multimedia.csv", 35, ""),
    ],
)
def test_audubon_core_says_where_the_bytes_are(tmp_path: Path, name: str, rows: int, creator: str) -> None:
    result = partitioned(real_data(f"lists/dwca_other/{name}"), tmp_path / "out", MEDIA)
    assert result.summary.accepted_rows == rows
    assert all(row["identifier"].startswith("http") and row["source_id"] for row in result.rows())
    assert (result.rows()[0]["creator"] or "").startswith(creator)


def test_the_owner_is_named_where_no_creator_is(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("accessURI,Owner,creator\nhttp://a.example/1.jpg,Museum,\n")
    (row,) = partitioned(tmp_path / "m.csv", tmp_path / "out", MEDIA).rows()
    assert row["creator"] == "Museum"


def test_the_owner_is_named_beside_the_creator(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("accessURI,Owner,creator\nhttp://a.example/1.jpg,Museum,Ann\n")
    (row,) = partitioned(tmp_path / "m.csv", tmp_path / "out", MEDIA).rows()
    assert row["creator"] == "Ann (rights holder: Museum)"
