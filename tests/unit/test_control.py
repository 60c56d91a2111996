"""Orders are given to servers of the run, in any spelling; a miss, a group and a host of one are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_downloader.control import main
from ray_downloader.monitor.run_report import reporting
from ray_downloader.run_folder.layout import RunLayout
from ray_downloader.run_folder.orders import OrderFile, ServerOrder
from tests.support.partitioned import partitioned_run

URLS = [
    "http://images.museum.org/1.jpg",
    "https://müller.example:443/1.jpg",
    "http://live.staticflickr.com/1.jpg",
    "http://c1.staticflickr.com/1.jpg",
]


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    return partitioned_run(tmp_path, URLS)[1]


def given(layout: RunLayout) -> list[ServerOrder]:
    return OrderFile(layout.orders_file).new()


@pytest.mark.parametrize(
    ("order", "written", "said"),
    [
        (("pause", "Images.Museum.ORG.:443"), ServerOrder("pause", "images.museum.org"), "pause images.museum.org"),
        (("ban", "MÜLLER.example"), ServerOrder("ban", "xn--mller-kva.example"), "ban xn--mller-kva.example"),
        (("rate", "images.museum.org", "2"), ServerOrder("rate", "images.museum.org", 2.0), "2 requests/s"),
        (("ban", "live.staticflickr.com"), ServerOrder("ban", "live.staticflickr.com"), "this host only"),
        (("ban", "staticflickr.com"), ServerOrder("ban", "staticflickr.com"), "ban staticflickr.com"),
        (("rate", "live.staticflickr.com", "2"), ServerOrder("rate", "staticflickr.com", 2.0), "is the group's"),
    ],
)
def test_an_order_is_written_for_whom_it_concerns(
    layout: RunLayout, order: tuple[str, ...], written: ServerOrder, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(layout.root), *order]) == 0
    assert given(layout) == [written]
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        (("pause", "image.museum.org"), "did you mean images.museum.org?"),
        (("pause", "nobody.example"), "no server of this run is named nobody.example"),
        (("pause",), "pause needs a server"),
        (("rate", "images.museum.org"), "needs a value"),
        (("rate", "images.museum.org", "0"), "more than 0"),
        (("rate", "images.museum.org", "nan"), "more than 0"),
        (("rate", "images.museum.org", "inf"), "more than 0"),
        (("ban", "images.museum.org", "3"), "takes no value"),
        (("list", "images.museum.org"), "takes no server"),
    ],
)
def test_a_wrong_order_is_said_and_not_written(
    layout: RunLayout, order: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(layout.root), *order]) == 2
    assert sentence in capsys.readouterr().err
    assert given(layout) == []


def test_orders_in_force_are_listed(layout: RunLayout, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(layout.root), "list"]) == 0
    assert "no orders are in force" in capsys.readouterr().out
    for order in (
        ("pause", "images.museum.org"), ("ban", "staticflickr.com"), ("resume", "images.museum.org"),
        ("rate", "images.museum.org", "2.5"),
    ):  # fmt: skip
        main([str(layout.root), *order])
    capsys.readouterr()
    main([str(layout.root), "list"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" (since ")[0] for line in lines] == [
        "ban staticflickr.com",
        "rate images.museum.org 2.5 requests/s",
        "",
        "4 servers:",
        "c1.staticflickr.com  1 rows, 3 requests/s, budget of staticflickr.com",
        "images.museum.org  1 rows, 3 requests/s",
        "live.staticflickr.com  1 rows, 3 requests/s, budget of staticflickr.com",
        "xn--mller-kva.example  1 rows, 3 requests/s",
    ]


def test_an_order_says_what_it_means_and_when(layout: RunLayout, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(layout.root), "pause", "images.museum.org"])
    assert capsys.readouterr().out == (
        "pause images.museum.org: it gets no request until it is resumed; "
        "no job runs here now, and the next one obeys\n"
    )
    with reporting(layout.progress_file) as report:
        report.enter("download")
        main([str(layout.root), "resume", "images.museum.org"])
    assert capsys.readouterr().out.endswith("it gets requests again; the running job obeys within 5 s\n")
