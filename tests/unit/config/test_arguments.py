"""A mistake in a command is one sentence that names the argument, and says what to write instead."""

from __future__ import annotations

import pytest

from ray_downloader.config.arguments import check_arguments
from ray_downloader.config.compose import group_choices
from ray_downloader.errors import UserError

GROUPS = group_choices()
MISTAKES = {
    "experiment=gbif": "experiment=gbif: an experiment is added with a plus sign: +experiment=gbif",
    "experiment": "experiment has no value: write +experiment=...",
    "contact=a@b": "did you mean politeness.contact?",
    "max_connections=2": "did you mean politeness.max_connections?",
    "image_sise=5": "did you mean downloader_parameters.image_size?",
    "path_to_inpt=x": "did you mean path_to_input?",
    "urls.txt out": "urls.txt is not written as key=value: the list is named by path_to_input=urls.txt",
    "statsu out": "did you mean status?",
    "path_to_input urls.txt": "path_to_input has no value: write path_to_input=...",
    "politeness.contact": "politeness.contact has no value: write politeness.contact=...",
    "--path_to_input x": "--path_to_input: keys are written without dashes and with an equals sign: path_to_input=x",
    "--path-to-output=my_out": "--path-to-output=my_out: keys are written without dashes and with an equals sign: path",
    "--contact a@b": "politeness.contact=a@b",
    "--experiment demo": "+experiment=demo",
    "--multirun image.quality=80,90": "--multirun is not supported",
    "-m a=1,2": "-m is not supported",
    "--multi": "--multi is not supported",
    "--hlep": "--hlep is not an option; did you mean --help?",
    "-x": "-x is not an option",
    "--config-dir": "--config-dir needs a value",
    "retry_errors=a,b": "retry_errors=a,b: several values are written in brackets: retry_errors=[a,b]",
    "dataset.keep=a,b": "dataset.keep=[a,b]",
    "image.quality=80,90": "image.quality=80,90: one value of image.quality is expected, not several",
    "dataset=gbif,eol": "dataset=gbif,eol: one choice is expected, not several",
    "image=3": "image=3 does not exist; choose from jpeg, original",
    "image=null": "image=null does not exist; choose from",
    "=3": "=3: there is no key before the equals sign",
    "http://a.example/?x=1": "is not a key; write key=value",
}


@pytest.mark.parametrize("command", MISTAKES, ids=str)
def test_a_mistake_is_one_sentence_that_names_the_argument(command: str) -> None:
    with pytest.raises(UserError) as refused:
        check_arguments(command.split(" "), GROUPS)
    assert MISTAKES[command] in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "arguments",
    [
        ["+experiment=gbif", "path_to_input=a,b=c d.csv", "path_to_output=my out", "politeness.contact=J. <j@x.org>"],
        ["retry_errors=[dns,timeout]", "dataset=gbif", "politeness.rules=[{server: a.example, rate_rps: 2}]"],
        ["--cfg", "job", "--config-dir", "/etc/é", "~network", "hydra.verbose=true", "++image.quality=80"],
        ["dataset.columns={identifier: a, source_id: b}", "dataset.columns.identifier=a,b", "+foo=1"],
        ["downloader_parameters.header=X-Key: a, b", "network.connect_to={a:1: b:2}", "stages=partition"],
        [],
    ],
    ids=lambda arguments: arguments[0] if arguments else "none",
)
def test_what_can_be_meant_passes(arguments: list[str]) -> None:
    check_arguments(arguments, GROUPS)


def test_a_value_that_may_be_a_secret_is_not_repeated() -> None:
    with pytest.raises(UserError) as refused:
        check_arguments(["downloader_parameters.headr=Authorization: hunter2"], GROUPS)
    assert "hunter2" not in str(refused.value)
