"""How many bytes smaller versions saved, where the sizes of the listed pictures are known."""

from __future__ import annotations

from ray_downloader.monitor.renditions import Renditions, sentence


def test_only_servers_whose_pictures_were_measured_are_compared() -> None:
    found = Renditions({"a": 10, "b": 5}, {"a": 1_000_000, "b": 70})
    figures = found.figures({"a": 2_000_000, "c": 1})
    assert figures == {"images": 15, "bytes": 1_000_070, "bytes_saved": 19_000_000, "images_compared": 10}
    assert sentence(figures) == ("15 images in a smaller version, 1.0 MB received, about 19.0 MB saved with 10 of them")


def test_where_nothing_was_measured_the_sizes_that_names_state_count() -> None:
    found = Renditions({"a": 10, "b": 5, "c": 1}, {"a": 1_000_000, "b": 70}, {"a": 9, "b": 4}, {"a": 7, "b": 3_000_000})
    figures = found.figures({"a": 1_000_000})
    assert figures == {"images": 16, "bytes": 1_000_070, "bytes_saved": 12_000_000, "images_compared": 14}


def test_where_all_are_known_the_sentence_says_no_more_than_that() -> None:
    figures = Renditions({"a": 2}, {"a": 100_000}, {"a": 2}, {"a": 1_500_000}).figures({})
    assert figures is not None
    assert sentence(figures) == "2 images in a smaller version, 0.1 MB received, about 1.5 MB saved"


def test_without_a_profile_nothing_is_claimed() -> None:
    figures = Renditions({"a": 10}, {"a": 1_000_000}).figures({})
    assert figures is not None and figures["bytes_saved"] == 0
    assert "how much that saved is not known" in sentence(figures)


def test_versions_that_were_larger_saved_nothing() -> None:
    figures = Renditions({"a": 1}, {"a": 100}).figures({"a": 10})
    assert figures is not None and figures["bytes_saved"] == 0


def test_a_run_without_renditions_says_nothing() -> None:
    assert Renditions().figures({"a": 1}) is None
