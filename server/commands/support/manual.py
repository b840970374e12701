"""A completion script for bash and zsh, and a man page, both made of the parsers that read the command line.

Place: commands.completion, and `python -m server.commands.support.manual` → HERE.
Rule: nothing is written down twice: names, options and their help are those of the parsers.
Not here: what the commands do (server.commands), exit codes and signals (docs/OPERATIONS.md).
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable

from server.version import VERSION

_BASH = """\
# Completion of penstock for bash and zsh: eval "$(penstock completion)"
[ -n "${ZSH_VERSION:-}" ] && autoload -Uz bashcompinit && bashcompinit
_penstock() {
    local word="${COMP_WORDS[COMP_CWORD]}" options=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        options="%(commands)s"
    else
        case "${COMP_WORDS[1]}" in
%(cases)s
        esac
        case "$word" in -*) ;; *) options="" ;; esac
    fi
    COMPREPLY=()
    if [ -n "$options" ]; then
        COMPREPLY=($(compgen -W "$options" -- "$word"))
    else
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}
complete -o filenames -F _penstock penstock
"""


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command."""
    (found,) = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    return dict(found.choices)


def completion(parser: argparse.ArgumentParser) -> str:
    """Return the script. It completes names of commands, their options, and names of files."""
    commands = commands_of(parser)
    cases = [f'            {name}) options="{" ".join(_options(one))}" ;;' for name, one in commands.items()]
    return _BASH % {"commands": " ".join(commands), "cases": "\n".join(cases)}


def _options(parser: argparse.ArgumentParser) -> Iterable[str]:
    return [option for option in parser._option_string_actions if option.startswith("--")]


def man(parser: argparse.ArgumentParser, summaries: dict[str, str]) -> str:
    """Return the page in the language of man(7)."""
    lines = [
        f'.TH PENSTOCK 1 "" "penstock {VERSION}"',
        ".SH NAME",
        "penstock \\- HTTP event intake in front of Apache Kafka",
        ".SH SYNOPSIS",
        ".B penstock",
        "\\fICOMMAND\\fR [\\fIOPTION\\fR]...",
        ".SH COMMANDS",
    ]
    for name, one in commands_of(parser).items():
        lines += [f".SS penstock {_escaped(name)}", _sentence(summaries[name])]
        for action in one._actions:
            if action.help == argparse.SUPPRESS or "--help" in action.option_strings:
                continue
            names = ", ".join(action.option_strings) or _metavar(action)
            value = f" {_metavar(action)}" if action.option_strings and action.nargs != 0 else ""
            lines += [".TP", f".B {_escaped(names + value)}", _sentence(action.help or "")]
    lines += [".SH EXAMPLES", ".nf", *map(_escaped, (parser.epilog or "").splitlines()), ".fi"]
    lines += [".SH SEE ALSO", "docs/TUTORIAL.md, docs/OPERATIONS.md and docs/SETTINGS.md of Penstock"]
    return "\n".join(line for line in lines if line) + "\n"


def _metavar(action: argparse.Action) -> str:
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    choices = "|".join(map(str, action.choices)) if action.choices else ""
    return str(action.metavar or choices or action.dest.upper())


def _sentence(text: str) -> str:
    plain = re.sub(r"%\(\w+\)s", "", text).replace("%%", "%").strip()
    return _escaped(plain[:1].upper() + plain[1:] + "." * (plain[-1:] not in ("", ".")))


def _escaped(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped
