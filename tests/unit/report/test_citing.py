"""What a report says is to be cited."""

from __future__ import annotations

from ray_downloader.config.settings import Settings
from ray_downloader.report.citing import MOST_DATASETS, citations


def settings(dataset: str = "generic") -> Settings:
    return Settings.from_config({"path_to_input": "list.txt", "path_to_output": "out", "dataset": {"name": dataset}})


def test_a_known_kind_of_list_says_how_it_wants_to_be_cited() -> None:
    assert "DOI of the download" in citations(settings("gbif"), "gbif", [])["list"]
    named = citations(settings("gbif"), "gbif", [], "10.15468/dl.ab12cd")["list"]
    assert named.startswith("This list is the download https://doi.org/10.15468/dl.ab12cd. GBIF asks to cite")
    assert citations(settings("auto"), "eol", [])["list"].startswith("Cite the Encyclopedia of Life"), "as it was read"
    assert citations(settings("lila"), "", [])["list"].startswith("Each dataset of LILA"), "as it was given"
    assert citations(settings(), "generic", [])["list"] == "Cite the source of the list, as it asks for it."


def test_the_datasets_with_the_most_images_are_named_and_the_others_counted() -> None:
    keys = [(f"key-{number}", 100 - number) for number in range(MOST_DATASETS + 3)]
    cited = citations(settings("gbif"), "gbif", [("", 500), *keys])
    assert cited["datasets"][0] == ["key-0", "https://www.gbif.org/dataset/key-0", 100]
    assert len(cited["datasets"]) == MOST_DATASETS
    assert cited["more_datasets"] == 3
    few = citations(settings("gbif"), "gbif", keys[:2])
    assert (len(few["datasets"]), few["more_datasets"]) == (2, 0)
    assert "CITATION.cff" in few["program"]
