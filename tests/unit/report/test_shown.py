"""Texts without secrets, control characters and tricks."""

from __future__ import annotations

import pytest

from ray_downloader.report.shown import one_line, shown_command, shown_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://a.example/1.jpg", "http://a.example/1.jpg"),
        ("http://guest:pass@a.example/1.jpg", "http://a.example/1.jpg"),
        ("https://a.example/1.jpg?X-Amz-Signature=abc&size=2", "https://a.example/1.jpg?X-Amz-Signature=…&size=2"),
        ("https://a.example/?api_key=k&token=t#x", "https://a.example/?api_key=…&token=…#x"),
        ("https://a.example/a@b.jpg", "https://a.example/a@b.jpg"),
        ("http://a.example/" + "x" * 300, ""),
    ],
)
def test_urls_lose_what_may_be_secret(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_a_text_is_one_line_without_marks_that_turn_it() -> None:
    assert one_line("a\r\nb\x00c\u202ed\u2028e") == "a b c d e"
    assert one_line("x" * 300) == "x" * 239 + "…"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("python -m ray_downloader path_to_output=out", "python -m ray_downloader path_to_output=out"),
        (
            "python -m ray_downloader 'downloader_parameters.header=Authorization: Bearer x' image=png",
            "python -m ray_downloader downloader_parameters.header=… image=png",
        ),
        ("python -m ray_downloader network.proxy=http://u:p@proxy:1", "python -m ray_downloader network.proxy=…"),
        ("the same call with retry_errors=transient", "the same call with retry_errors=transient"),
    ],
)
def test_commands_lose_what_may_be_secret(command: str, shown: str) -> None:
    assert shown_command(command).replace("'", "") == shown
