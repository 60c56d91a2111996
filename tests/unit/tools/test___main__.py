"""The command line of the tools: arguments as a shell gives them, help, and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ray_downloader.errors import ExitCode, UserError
from ray_downloader.tools import __main__ as command
from ray_downloader.tools import entry
from ray_downloader.tools.context import ToolContext

Run = Callable[..., tuple[int, list[ToolContext]]]


@pytest.fixture
def run_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs the command with these arguments; its exit code, and the contexts of the tools that it started."""

    def run(
        *arguments: str, outcome: ExitCode | UserError = ExitCode.SETTLED, program: str = "tools"
    ) -> tuple[int, list[ToolContext]]:
        started: list[ToolContext] = []

        def apply_tool(context: ToolContext, _config_path: Path | None) -> ExitCode:
            started.append(context)
            if isinstance(outcome, UserError):
                raise outcome
            return outcome

        monkeypatch.setattr(entry, "apply_tool", apply_tool)
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        with pytest.raises(SystemExit) as ended:
            command.main()
        return int(ended.value.code or 0), started

    monkeypatch.chdir(tmp_path)
    return run


def test_a_tool_is_given_what_was_set(run_command: Run, tmp_path: Path) -> None:
    code, (context,) = run_command(
        "tool=resize", f"path_to_output={tmp_path}", "tools_parameters.new_resize_size=32", "image=png"
    )
    assert (code, context.name, context.parameters.new_resize_size) == (0, "resize", 32)
    assert (context.settings.image.encode, context.is_format_given) == ("png", True)


def test_what_was_not_set_is_not_given(run_command: Run, tmp_path: Path) -> None:
    _, (context,) = run_command("tool=resize", f"path_to_output={tmp_path}")
    assert not context.is_format_given
    _, (context,) = run_command("tool=resize", f"path_to_output={tmp_path}", program="image=png")
    assert not context.is_format_given, "the name of the program is no argument"


@pytest.mark.parametrize("outcome", [ExitCode.SETTLED, ExitCode.STOPPED])
def test_the_exit_code_is_the_tools(run_command: Run, tmp_path: Path, outcome: ExitCode) -> None:
    assert run_command("tool=resize", f"path_to_output={tmp_path}", outcome=outcome)[0] == int(outcome)


def test_a_mistake_is_one_sentence(run_command: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = run_command("tool=resize", f"path_to_output={tmp_path}", outcome=UserError("not so"))
    assert (code, capsys.readouterr().err) == (2, "ray_downloader: not so\n")


def test_a_tool_has_to_be_named(run_command: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, started = run_command(f"path_to_output={tmp_path}")
    assert (code, started) == (2, [])
    assert "tool is required: set tool=... to one of: attribution, " in capsys.readouterr().err


def test_keys_of_mappings_may_be_quoted(run_command: Run, tmp_path: Path) -> None:
    mapping = 'network.connect_to={"a.example:80": "127.0.0.1:8080"}'
    _, (context,) = run_command("tool=resize", f"path_to_output={tmp_path}", mapping)
    assert context.settings.network.connect_to == {"a.example:80": "127.0.0.1:8080"}


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["tool=resize", "--help"], ["-h", "tool=resize"]])
def test_help_is_about_tools_and_runs_nothing(
    run_command: Run, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run_command(*arguments) == (0, [])
    assert "== Tools" in capsys.readouterr().out


def test_the_first_argument_is_checked_as_the_others_are(run_command: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["no_such_key=1", "tool=resize"], ["tool=resize", "no_such_key=1"]):
        assert run_command(*arguments) == (2, [])
        assert "no_such_key" in capsys.readouterr().err
