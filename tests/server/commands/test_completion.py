"""``penstock completion``: a shell completes commands and options, and man shows every one of them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from server.commands.support import manual
from server.commands.support.parser import COMMANDS, make_parser


def completed(*words: str) -> list[str]:
    """What bash would offer for the last of these words."""
    line = " ".join(f"'{word}'" for word in ("penstock", *words))
    script = f"{manual.completion(make_parser(COMMANDS))}\nCOMP_WORDS=({line}); COMP_CWORD={len(words)}; _penstock"
    command = f'{script}\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def test_names_of_commands_are_completed() -> None:
    assert completed("va") == ["validate"]
    assert set(completed("")) == set(COMMANDS)


def test_options_of_the_command_are_completed() -> None:
    assert completed("events", "--fo") == ["--follow"]
    assert "--stream" not in completed("size", "--")


def test_other_words_are_names_of_files() -> None:
    assert "/usr" in completed("validate", "/us")


def test_the_manual_page_has_every_command_and_option() -> None:
    parser = make_parser(COMMANDS)
    page = manual.man(parser, COMMANDS)

    for name, one in manual.commands_of(parser).items():
        assert f".SS penstock {name}".replace("-", "\\-") in page
        for option in one._option_string_actions:
            assert option in ("-h", "--help") or option.replace("-", "\\-") in page


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff")
def test_groff_finds_nothing_wrong_with_the_page() -> None:
    page = manual.man(make_parser(COMMANDS), COMMANDS)
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww"], input=page, capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stderr == ""
    assert "penstock validate" in done.stdout
