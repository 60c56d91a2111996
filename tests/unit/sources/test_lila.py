"""LILA's list of all images: mirrors in order, several rows of one picture, empty pictures."""

from __future__ import annotations

from pathlib import Path

from ray_downloader.partition.row_uuid import row_uuid
from tests.support.lists import Partitioned, partitioned

HEADER = (
    "dataset_name,url_gcp,url_aws,url_azure,image_id,sequence_id,location_id,frame_num,original_label,scientific_name\n"
)
GCP, AWS, AZURE = (f"http://{cloud}.example/1.jpg" for cloud in ("gcp", "aws", "azure"))


def _run(tmp_path: Path, *rows: tuple[str, str, str, str, str]) -> Partitioned:
    lines = (f"Caltech,{gcp},{aws},{azure},{image_id},s,l,0,{label},x\n" for gcp, aws, azure, image_id, label in rows)
    (tmp_path / "lila.csv").write_text(HEADER + "".join(lines))
    return partitioned(tmp_path / "lila.csv", tmp_path / "out", {"name": "lila"})


def test_the_first_cloud_is_the_identity_and_the_others_are_mirrors(tmp_path: Path) -> None:
    result = _run(tmp_path, (GCP, AWS, AZURE, "1", "deer"), ("", AWS, AZURE, "2", "cat"), ("", "", AZURE, "3", "cat"))
    rows = {row["source_id"]: row for row in result.rows()}
    assert {name: (row["identifier"], row["mirrors"]) for name, row in rows.items()} == {
        "1": (GCP, [AWS, AZURE]),
        "2": (AWS, [AZURE]),
        "3": (AZURE, None),
    }
    assert rows["1"]["uuid"] == row_uuid("1", GCP)
    assert (rows["1"]["server_name"], rows["1"]["source"]) == ("gcp.example", "Caltech")


def test_rows_of_one_picture_stay_and_lie_side_by_side(tmp_path: Path) -> None:
    result = _run(tmp_path, (GCP, AWS, "", "1", "deer"), (GCP, AWS, "", "1", "bird"))
    assert [row["identifier"] for row in result.rows()] == [GCP, GCP]


def test_empty_pictures_and_rows_without_a_url_are_rejected(tmp_path: Path) -> None:
    result = _run(
        tmp_path,
        (GCP, "", "", "1", "Empty"),
        ("", "", "", "2", "deer"),
        (GCP, "", "", "3", ""),
        (AWS, "", "", "4", "x"),
    )
    assert result.summary.rejected_by_reason == {"empty_picture": 1, "no_identifier": 1}
