"""FathomNet's image table and COCO's JSON."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.lists import partitioned, real_data

FATHOMNET = {"name": "fathomnet"}
UUID = "3f0e2f4a-8d0a-4b9e-9a57-0d7d6ccf0e11"


def test_images_that_are_not_valid_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "i.csv").write_text(
        "uuid,url,valid\na,http://f.example/1.png,true\nb,http://f.example/2.png,False\nc,,true\n,http://f.example/3,1\n"
    )
    result = partitioned(tmp_path / "i.csv", tmp_path / "out", FATHOMNET)
    (row,) = result.rows()
    assert (row["uuid"], row["source_id"]) == ("a", "a")
    assert "by-nc-nd" in row["license"]
    assert result.summary.rejected_by_reason == {"no_identifier": 1, "no_source_id": 1, "not_valid": 1}


def test_the_real_table_is_read_whole(tmp_path: Path) -> None:
    result = partitioned(
        real_data("lists/fathomnet/images_202508121637.csv"), tmp_path / "out", {**FATHOMNET, "license": "it's mine"}
    )
    assert result.summary.accepted_rows == 1419
    assert {row["license"] for row in result.rows()} == {"it's mine"}


def test_the_licences_of_cocos_images_are_what_their_numbers_mean(tmp_path: Path) -> None:
    images = [{"id": n, "coco_url": f"http://f.example/{n}.png", "license": n} for n in (1, 2, 3)]
    licenses = [{"id": 1, "url": "http://l.example/by", "name": "BY"}, {"id": 2, "name": "Public domain"}]
    (tmp_path / "train.json").write_text(json.dumps({"images": images, "licenses": licenses}))
    rows = partitioned(tmp_path / "train.json", tmp_path / "out").rows()
    assert [row["license"] for row in rows] == ["http://l.example/by", "Public domain", "3"]


def test_the_images_of_cocos_json_are_a_list(tmp_path: Path) -> None:
    images = [
        {"id": 1, "width": 720, "file_name": f"{UUID}.png", "coco_url": "http://f.example/1.png"},
        {"id": 2, "width": 720, "file_name": "two.png", "coco_url": "http://f.example/2.png"},
        {"id": 3, "width": 720, "file_name": "three.png"},
    ]
    (tmp_path / "train.json").write_text(json.dumps({"images": images, "annotations": [{"image_id": 1}]}))
    result = partitioned(tmp_path / "train.json", tmp_path / "out", FATHOMNET)
    assert [(row["source_id"], row["identifier"]) for row in result.rows()] == [
        (UUID, "http://f.example/1.png"),
        ("2", "http://f.example/2.png"),
    ]
    assert [row["reason"] for row in result.rejected()] == ["no_identifier"]
