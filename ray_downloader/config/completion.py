"""Completion of the command line: a script with all words in it, so that a Tab need not start Python. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from ray_downloader.config.arguments import SUBCOMMANDS
from ray_downloader.config.help import all_keys
from ray_downloader.errors import UserError

PROGRAM = "ray-downloader"
SHELLS = ("bash", "zsh", "fish")
#: Where fish is not to offer files: after a key whose value is no path.
_FISH_VALUE = (
    "string match -qr '^[^=]*=' -- (commandline -ct); and not string match -q 'path_to_*' -- (commandline -ct)"
)
_OPTIONS = ("--help", "--help-all", "--version", "--cfg", "--shell-completion")
_EXPERIMENT = "experiment"

#: Bash splits words at `=` (COMP_WORDBREAKS), so a value is completed as a word of its own there, and not in zsh.
_BASH = """_ray_downloader() {{
    local line key word prefix="" IFS=$'\\n'
    COMPREPLY=()
    line="${{COMP_LINE:0:COMP_POINT}}"
    line="${{line##*[[:space:]]}}"
    if [[ "$line" == *=* ]]; then
        key="${{line%%=*}}"
        word="${{line#*=}}"
        [[ -n "$ZSH_VERSION" ]] && prefix="$key="
        case "$key" in
            path_to_*) compopt -o filenames 2>/dev/null; COMPREPLY=( $(compgen -P "$prefix" -f -- "$word") ) ;;
{cases}
        esac
        return
    fi
    compopt -o nospace 2>/dev/null
    COMPREPLY=( $(IFS=" "; compgen -W {words} -- "$line") )
    [[ ${{#COMPREPLY[@]}} -gt 0 ]] || COMPREPLY=( $(compgen -f -- "$line") )
}}
complete -F _ray_downloader {program}
"""


def completion_script(shell: str, groups: Mapping[str, Sequence[str]]) -> str:
    """The script that a shell evaluates.

    Args:
        shell: Its name, or a path that ends with it.
        groups: Choices by group, among them `experiment`.

    Raises:
        UserError: No completion exists for this shell.
    """
    name = shell.rpartition("/")[2]
    if name not in SHELLS:
        raise UserError(f"--shell-completion {shell}: there is completion for {', '.join(SHELLS)}")
    values = dict(_values(groups))
    if name == "fish":
        words = [f"{key}={choice}" for key, choices in values.items() for choice in choices or [""]]
        listed = " ".join(shlex.quote(word) for word in (*SUBCOMMANDS, *_OPTIONS, *words))
        return (
            f"complete -c {PROGRAM} -n {shlex.quote(_FISH_VALUE)} -f\ncomplete -c {PROGRAM} -a {shlex.quote(listed)}\n"
        )
    cases = "\n".join(
        f'            {key}) COMPREPLY=( $(IFS=" "; compgen -P "$prefix" -W "{" ".join(choices)}" -- "$word") ) ;;'
        for key, choices in values.items()
        if choices
    )
    listed = shlex.quote(" ".join((*SUBCOMMANDS, *_OPTIONS, *(f"{key}=" for key in values))))
    script = _BASH.format(cases=cases, words=listed, program=PROGRAM)
    return f"autoload -U +X bashcompinit && bashcompinit\n{script}" if name == "zsh" else script


def _values(groups: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Sequence[str]]]:
    """Every key, with the values that it lists."""
    for group, names in groups.items():
        yield f"+{group}" if group == _EXPERIMENT else group, names
    for key in all_keys():
        yield key.name, ("true", "false") if key.default in {"true", "false"} else key.choices
