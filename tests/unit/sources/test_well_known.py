"""Well-known datasets: which URL is taken, where it is built, and that `dataset=auto` names each."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ray_downloader.errors import UserError
from tests.support.lists import Partitioned, partitioned, real_data, shared_case

pytestmark = pytest.mark.stage

PHOTOS = (
    "photo_uuid\tphoto_id\tobservation_uuid\tobserver_id\textension\tlicense\twidth\theight\tposition\n"
    "u1\t11\to1\t7\tjpg\tCC-BY-NC\t2048\t1536\t0\nu2\t12\to1\t7\tjpeg\tCC0\t100\t100\t1\n"
)
OBSERVATIONS = "observation_uuid\tobserver_id\ttaxon_id\tquality_grade\no1\t7\t48662\tresearch\n"


def _read(path: Path, tmp_path: Path, name: str, **dataset: object) -> Partitioned:
    return partitioned(path, tmp_path / "out", {"name": name, **dataset})


@pytest.mark.parametrize(
    ("case", "name", "urls", "rejected"),
    [
        ("openimages.csv", "openimages", [f"https://farm1.example.org/{n}_o.jpg" for n in range(4)], {}),
        ("wit.tsv", "wit", ["http://upload.example.org/a/ab/X.jpg", "http://upload.example.org/a/ab/Y.svg"], {}),
        ("yfcc100m_dataset.txt", "yfcc100m",
         [f"http://farm4.example.org/3111/1311333{n}_abcdef.jpg" for n in range(1, 5)], {}),
        ("yfcc100m_dataset.bz2", "yfcc100m", ["http://farm4.example.org/3111/13113331_abcdef.jpg"], {}),
        ("inat_photos.csv", "inaturalist",
         [f"https://inaturalist-open-data.s3.amazonaws.com/photos/100{n}/original.jpg" for n in range(1, 5)], {}),
        ("cc3m.tsv", "cc3m",
         ["http://img.example.org/a.jpg?w=1", *(f"http://img.example.org/{c}.jpg" for c in "bcdef")], {}),
        ("cc12m.tsv", "cc12m", [f"https://img.example.org/{c}.jpg" for c in "abcd"], {}),
        ("idig_alone.csv", "idigbio", ["http://img.example.org/img/m1.jpg", "http://img.example.org/img/m2.jpg"], {}),
        ("manifest.json", "iiif", ["https://iiif.example.org/iiif/1/full/full/0/default.jpg"], {}),
        ("symb", "dwca", ["http://img.example.org/img/s1_lg.jpg", "http://img.example.org/img/s2_lg.jpg"], {}),
    ],
)  # fmt: skip
def test_shared_cases_are_read_by_name_and_recognised(
    tmp_path: Path, case: str, name: str, urls: list[str], rejected: dict[str, int]
) -> None:
    path = shared_case(case)
    for chosen in (name, "auto"):
        result = _read(path, tmp_path, chosen)
        assert result.identifiers() == sorted(urls)
        assert result.summary.rejected_by_reason == rejected
        assert result.summary.dataset == name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("gbif/demo_marine_multimedia.txt", "gbif"),
        ("gbif/ticks_dwca", "gbif"),
        ("gbif/finch_dwca.zip", "gbif"),
        ("camtrapdp/example_media.csv", "camtrapdp"),
        ("dwca_other/symbiota_multimedia.csv", "dwca"),
        ("dwca_other/audubon_core_multimedia.txt", "dwca"),
        ("fathomnet/images_202508121637.csv", "fathomnet"),
        ("csv_small/HCGSD_testNA.csv", "generic"),
        ("img2dataset/test_1000.txt", "generic"),
    ],
)
def test_real_lists_are_recognised(tmp_path: Path, path: str, name: str) -> None:
    assert _read(real_data(f"lists/{path}"), tmp_path, "auto").summary.dataset == name


def test_a_folder_of_inaturalists_tables_is_one_list(tmp_path: Path) -> None:
    folder = tmp_path / "open-data"
    folder.mkdir()
    for name, text in {
        "photos": PHOTOS,
        "observations": OBSERVATIONS,
        "taxa": "taxon_id\n1\n",
        "observers": "x\n1\n",
    }.items():
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("inaturalist", "auto"):
        result = _read(folder, tmp_path, name, keep=["taxon_id", "observation_uuid"], size="medium")
        rows = sorted(result.rows(), key=lambda row: row["source_id"])
        assert [row["identifier"].rpartition("/photos/")[2] for row in rows] == ["11/medium.jpg", "12/medium.jpeg"]
        assert [(row["keep.taxon_id"], row["keep.observation_uuid"]) for row in rows] == [("48662", "o1")] * 2
        assert rows[0]["source"] == "https://www.inaturalist.org/photos/11"
        assert rows[0]["license"] == "CC-BY-NC"


def test_photos_alone_and_beside_observations_are_read_alike(tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_text(PHOTOS)
    assert len(_read(tmp_path / "photos.csv", tmp_path, "inaturalist").rows()) == 2
    (tmp_path / "observations.csv").write_text(OBSERVATIONS)
    result = _read(tmp_path / "photos.csv", tmp_path, "inaturalist", keep=["quality_grade"])
    assert [row["keep.quality_grade"] for row in result.rows()] == ["research"] * 2


def test_a_size_that_is_not_served_is_said(tmp_path: Path) -> None:
    (tmp_path / "photos.csv").write_text(PHOTOS)
    with pytest.raises(UserError, match=r"dataset\.size=big is not a size .* original, large, medium"):
        _read(tmp_path / "photos.csv", tmp_path, "inaturalist", size="big")


OPEN_IMAGES = (
    "ImageID,Subset,OriginalURL,OriginalLandingURL,License,Author,Title,OriginalSize,OriginalMD5,Thumbnail300KURL\n"
    'a,train,https://f.example/o.jpg,https://p.example/a,CC BY,"Doe, J",T,1000,1B2M2Y8AsgTpgAmY7PhCfg==,https://t.example/a.jpg\n'
    "b,train,https://f.example/p.jpg,https://p.example/b,CC BY,D,T,2000,1B2M2Y8AsgTpgAmY7PhCfg==,\n"
)


def test_open_images_lists_what_its_originals_are(tmp_path: Path) -> None:
    (tmp_path / "i.csv").write_text(OPEN_IMAGES)
    first, _ = _read(tmp_path / "i.csv", tmp_path, "openimages").rows()
    assert (first["checksum"], first["size_bytes"]) == ("md5:d41d8cd98f00b204e9800998ecf8427e", 1000)
    rows = {
        row["source_id"]: row for row in _read(tmp_path / "i.csv", tmp_path, "openimages", variant="thumbnail").rows()
    }
    assert (rows["a"]["identifier"], rows["a"]["checksum"]) == ("https://t.example/a.jpg", None)
    assert rows["b"]["identifier"] == "https://f.example/p.jpg"


def test_laions_tables_are_known_by_their_columns(tmp_path: Path) -> None:
    table = pa.table(
        {"URL": ["http://a.example/1.jpg"], "TEXT": ["cat"], "LICENSE": ["?"], "similarity": [0.3], "hash": [7]}
    )
    pq.write_table(table, tmp_path / "part.parquet")
    result = _read(tmp_path / "part.parquet", tmp_path, "auto")
    (row,) = result.rows()
    assert result.summary.dataset == "laion"
    assert (row["title"], row["license"], row["source_id"]) == ("cat", None, "7")
    assert _read(shared_case("laion.parquet"), tmp_path, "auto").summary.dataset == "laion"


def test_yfccs_titles_are_decoded_and_videos_are_no_images(tmp_path: Path) -> None:
    columns = ["1", "u@N1", "a+name", "", "", "", "My+%22first%22+100%25", "", "", "", "", "", "",
               "http://p.example/1/", "http://f.example/1.jpg", "By", "http://l.example", "1", "2", "s", "o",
               "jpg"]  # fmt: skip
    lines = ["\t".join([*columns, "0"]), "\t".join([*columns, "1"])]
    (tmp_path / "yfcc100m_dataset-0.bz2").write_bytes(bz2.compress("\n".join(lines).encode()))
    result = _read(tmp_path / "yfcc100m_dataset-0.bz2", tmp_path, "yfcc100m")
    (row,) = result.rows()
    assert (row["source_id"], row["title"], row["creator"]) == ("1", 'My "first" 100%', "a name")
    assert result.summary.rejected_by_reason == {"not_an_image": 1}


def test_captions_are_titles_with_all_their_quotes(tmp_path: Path) -> None:
    lines = [
        '" halt " is painted\thttp://a.example/1.jpg',
        "a 6' 2\" man\thttp://a.example/2.jpg",
        "x\thttp://a.example/3.jpg",
    ]
    (tmp_path / "c.tsv").write_text("\n".join(lines) + "\n")
    titles = [row["title"] for row in _read(tmp_path / "c.tsv", tmp_path, "cc3m").rows()]
    assert titles == ['" halt " is painted', "a 6' 2\" man", "x"]


PRESENTATION_3 = {
    "@context": ["http://www.w3.org/ns/anno.jsonld", "http://iiif.io/api/presentation/3/context.json"],
    "id": "https://i.example/m", "type": "Manifest", "label": {"en": ["Book"]}, "rights": "http://l.example/by",
    "requiredStatement": {"label": {"en": ["By"]}, "value": {"en": ["Library"]}},
    "items": [
        {"id": f"https://i.example/canvas/{n}", "type": "Canvas", "label": {"none": [f"p. {n}"]}, "items": [
            {"type": "AnnotationPage", "items": [
                {"type": "Annotation", "motivation": "painting", "body": {
                    "id": f"https://i.example/{n}.jpg", "type": "Image", "service": [
                        {"id": f"https://i.example/iiif/{n}/", "type": "ImageService3"}] if n == 1 else []}},
                {"type": "Annotation", "motivation": "commenting",
                 "body": {"id": "https://i.example/x", "type": "Image"}},
            ]}]}
        for n in (1, 2)
    ],
}  # fmt: skip
INFO = {
    "@context": "http://iiif.io/api/image/2/context.json",
    "@id": "https://i.example/iiif/9",
    "protocol": "http://iiif.io/api/image",
}


def test_pictures_of_saved_iiif_documents_are_rows(tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(PRESENTATION_3))
    (folder / "b.json").write_text(json.dumps(INFO))
    result = _read(folder, tmp_path, "iiif")
    assert result.identifiers() == [
        "https://i.example/2.jpg",
        "https://i.example/iiif/1/full/max/0/default.jpg",
        "https://i.example/iiif/9/full/full/0/default.jpg",
    ]
    row = next(row for row in result.rows() if row["identifier"].endswith("/2.jpg"))
    assert (row["source_id"], row["title"], row["license"], row["creator"], row["source"]) == (
        "https://i.example/canvas/2", "Book, p. 2", "http://l.example/by", "Library", "https://i.example/m",
    )  # fmt: skip
    assert _read(folder, tmp_path, "auto").summary.dataset == "iiif"
    sized = _read(folder, tmp_path, "iiif", size="!512,512").identifiers()
    assert "https://i.example/iiif/1/full/!512,512/0/default.jpg" in sized


def test_iiif_addresses_become_pictures_of_the_wanted_size(tmp_path: Path) -> None:
    urls = [
        "https://i.example/iiif/2/a%2Fb/info.json",
        "https://i.example/iiif/3/c/info.json",
        "https://i.example/iiif/2/d/pct:0,0,50,50/1000,/0/default.jpg",
        "https://i.example/e.jpg",
        "https://i.example/book/manifest.json",
    ]
    (tmp_path / "list.txt").write_text("\n".join(urls) + "\n")
    result = _read(tmp_path / "list.txt", tmp_path, "iiif")
    assert result.identifiers() == [
        "https://i.example/e.jpg",
        "https://i.example/iiif/2/a%2Fb/full/full/0/default.jpg",
        urls[2],
        "https://i.example/iiif/3/c/full/max/0/default.jpg",
    ]
    assert result.summary.rejected_by_reason == {"iiif_manifest": 1}
    assert _read(tmp_path / "list.txt", tmp_path, "iiif", size="500,").identifiers() == [
        "https://i.example/e.jpg",
        "https://i.example/iiif/2/a%2Fb/full/500,/0/default.jpg",
        "https://i.example/iiif/2/d/full/500,/0/default.jpg",
        "https://i.example/iiif/3/c/full/500,/0/default.jpg",
    ]


@pytest.mark.parametrize(
    ("url", "is_document"),
    [
        ("https://digi.example/iiif/MSS_Vat.lat.3225/manifest.json", True),
        ("https://iiif.example/iiif/manifest/e32a277e.json", True),
        ("https://iiif.example/manifests/drs:48309543", True),
        ("https://iiif.example/presentation/v2/b18035723", True),
        ("https://iiif.example/iiif/collection/top", True),
        ("https://figgy.example/concern/resources/1/manifest?auth=2", True),
        ("https://i.example/metadata/csg-0001.json", True),
        ("https://i.example/collections/O123/a.jpg", False),
        ("https://i.example/manifest/1/full/max/0/default.jpg", False),
        ("https://i.example/collection/1/info.json", False),
        ("https://i.example/photo?name=manifest", False),
        ("https://i.example/Manifesto-of-1848", False),
    ],
    ids=lambda value: value.partition("example/")[2] if isinstance(value, str) else str(value),
)
def test_a_url_shows_whether_it_is_of_a_document_or_a_picture(url: str, is_document: bool, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"https://i.example/other.jpg\n{url}\n")
    result = _read(tmp_path / "list.txt", tmp_path, "iiif")
    reasons = [(row["reason"], row["detail"]) for row in result.rejected()]
    assert reasons == ([("iiif_manifest", "it was not fetched")] if is_document else [])


def test_what_a_column_of_manifests_has_is_a_manifest_whatever_it_looks_like(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(
        "shelf,manifest\n1,https://cudl.example/iiif/MS-ADD-03996\n2,https://i.example/a.jpg\n"
    )
    result = _read(tmp_path / "list.csv", tmp_path, "iiif")
    assert [row["identifier"] for row in result.rejected()] == ["https://cudl.example/iiif/MS-ADD-03996"]


def test_a_saved_collection_names_collections_and_manifests(tmp_path: Path) -> None:
    document = {
        "@context": "http://iiif.io/api/presentation/2/context.json", "@id": "https://i.example/top",
        "@type": "sc:Collection", "collections": [{"@id": "https://i.example/c"}],
        "members": [{"@id": "https://i.example/m"}], "manifests": [{"@id": "https://i.example/n/manifest"}],
        "next": "https://i.example/top?page=2",
    }  # fmt: skip
    info = tmp_path / "in" / "info.json"
    info.parent.mkdir()
    info.write_text(json.dumps(INFO))
    (tmp_path / "in" / "top.json").write_text(json.dumps(document))
    rejected = {row["identifier"] for row in _read(tmp_path / "in", tmp_path, "iiif").rejected()}
    assert rejected == {f"https://i.example/{name}" for name in ("c", "m", "n/manifest", "top?page=2")}


def test_a_size_that_iiif_does_not_have_is_said(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("https://i.example/iiif/2/a/info.json\n")
    with pytest.raises(UserError, match=r"dataset\.size=big is not a size of IIIF"):
        _read(tmp_path / "list.txt", tmp_path, "iiif", size="big")
