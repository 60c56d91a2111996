"""What came from earlier runs, in figures and in words."""

from __future__ import annotations

from ray_downloader.monitor.reused import base_figures, base_sentence
from ray_downloader.run_folder.base_runs import BasePlan


def test_what_was_taken_and_what_vanished_is_counted() -> None:
    plan = BasePlan(("old", "older"), vanished=3)
    figures = base_figures(plan, {"linked": 5, "not_modified": 2}, "out/vanished.csv")
    assert figures == {
        "runs": ["old", "older"], "linked": 5, "not_modified": 2, "vanished": 3, "vanished_file": "out/vanished.csv",
    }  # fmt: skip
    assert base_sentence(figures) == (
        "5 images taken without a request, 2 not modified (304); 3 of their rows are not in the list any more "
        "(out/vanished.csv)"
    )


def test_where_nothing_vanished_there_is_no_file_to_name() -> None:
    figures = base_figures(BasePlan(("old",)), {}, "out/vanished.csv")
    assert (figures["linked"], figures["not_modified"], figures["vanished_file"]) == (0, 0, None)
    assert base_sentence(figures) == "0 images taken without a request, 0 not modified (304)"
