"""A mistake in the options of a command is one sentence."""

from __future__ import annotations

import pytest

from ray_downloader.config.options import OneSentenceParser


def test_a_mistake_is_one_sentence_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    parser = OneSentenceParser(prog="python -m ray_downloader.status")
    parser.add_argument("out")
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args(["out", "--jason"])
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "ray_downloader.status: unrecognized arguments: --jason; python -m ray_downloader.status --help explains\n"
    )
