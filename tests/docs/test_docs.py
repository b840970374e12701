"""What the documents name exists in the code, and what the code offers is in the documents."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from server import errors
from server.commands.support.parser import COMMANDS, make_parser
from server.config.framework import shape
from server.config.settings import Config
from server.intake import verdict
from server.paths import Paths
from tests.harness.running import ROOT

PAGES = sorted(
    [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "deploy" / "helm" / "penstock" / "README.md"]
)
LOGGERS = {"sink.kafka", "sink.memory", "sink.replay", "sink.spool", "sink.sqlite"}
FILE = re.compile(r"\w+\.(py|yaml|yml|md|json)")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def page(name: str) -> str:
    return text_of(ROOT / "docs" / name)


def subcommands() -> dict[str, argparse.ArgumentParser]:
    (found,) = [one for one in make_parser(COMMANDS)._actions if isinstance(one, argparse._SubParsersAction)]
    return dict(found.choices)


def invocations() -> Iterator[tuple[str, str, str]]:
    """Page, command and the rest of each ``penstock …`` in code."""
    for path in PAGES:
        text = text_of(path)
        spans = re.findall(r"`(penstock [^`]+)`", text) + re.findall(
            r"^    (?:\S*/)?(penstock [^\n]+)", text, re.MULTILINE
        )
        for span in spans:
            _, command, *rest = span.split(" ", 2)
            yield path.name, command, rest[0] if rest else ""


def options_of(parser: argparse.ArgumentParser, rest: str) -> set[str]:
    """The options of a command, or of the task of it with which ``rest`` begins."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            parser = dict(action.choices).get(rest.split(" ")[0], parser)
    return set(parser._option_string_actions)


def test_every_command_of_the_documents_exists_with_its_options() -> None:
    commands = subcommands()
    unknown = []
    for name, command, rest in invocations():
        known = options_of(commands[command], rest) if command in commands else set()
        options = re.findall(r"(?<![\w-])(--[a-z][a-z-]*|-[a-z])\b", rest)
        unknown += [f"{name}: penstock {command}"] * (command not in commands and not command.startswith(("-", "…")))
        unknown += [f"{name}: penstock {command} {option}" for option in options if option not in known]

    assert unknown == []


def test_every_command_is_in_the_table_of_operations() -> None:
    table = page("OPERATIONS.md")

    assert [name for name in subcommands() if f"| `penstock {name} " not in table] == []


def test_exit_codes_are_those_of_the_code() -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    table = page("OPERATIONS.md").partition("| exit code | meaning |")[2].partition("\n\n")[0]

    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == codes


@pytest.mark.parametrize(
    ("heading", "types"), [("| of *invalid* events", verdict.INVALID_TYPES), ("| of *error*s", verdict.ERROR_TYPES)]
)
def test_error_types_are_those_of_the_code(heading: str, types: frozenset[str]) -> None:
    table = page("HTTP.md").partition(heading)[2].partition("\n\n")[0]

    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == types


def test_what_may_be_sent_again_is_said_as_the_code_has_it() -> None:
    table = page("HTTP.md").partition("| of *error*s")[2].partition("\n\n")[0]
    said = {
        name for name, again in re.findall(r"^\| `(\w+)` \|.*\| (yes|no) \|$", table, re.MULTILINE) if again == "yes"
    }

    assert said == verdict.RETRIABLE_TYPES


def test_routes_are_those_of_the_code() -> None:
    table = page("HTTP.md").partition("## Routes")[2].partition("\n## ")[0]
    said = set(re.findall(r"^\| `(?:GET|POST) ([^`?]+?)(?:/?\{\w+\})?` \|", table, re.MULTILINE))

    # A route of more segments is told with a name in braces, which is left out above.
    assert said - {"/"} == {path.removesuffix("*").rstrip("/") for path in Paths if path != Paths.ROOT}


def test_every_setting_that_a_page_names_exists() -> None:
    known = {".".join(path) for path, _ in shape.every(Config)}
    sections = {path.split(".")[0] for path in known if "." in path}
    free = {".".join(path) for path, kind in shape.every(Config) if shape.map_of(kind) is not None}
    unknown = set()
    for path in PAGES:
        for name in re.findall(r"`((?:[a-z]\w*)(?:\.[a-z]\w*)+)[:`=]", text_of(path)):
            is_module = (ROOT / "server" / f"{name.replace('.', '/')}.py").is_file()
            is_free = any(name.startswith(f"{one}.") for one in free)
            if name.split(".")[0] in sections and not (
                name in known or is_module or name in LOGGERS or is_free or FILE.fullmatch(name)
            ):
                unknown.add(f"{path.name}: {name}")

    assert unknown == set()


def test_every_file_that_a_page_links_to_is_there() -> None:
    missing = []
    for path in PAGES:
        links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(path))
        missing += [f"{path.name}: {link}" for link in links if not (path.parent / link).exists()]

    assert missing == []


def test_every_file_of_deploy_and_tests_that_a_page_names_is_there() -> None:
    missing = []
    for path in PAGES:
        names = re.findall(r"(?<![\w/.])((?:deploy|tests|bench|server)/[\w./-]*[\w/])", text_of(path))
        missing += [
            f"{path.name}: {name}" for name in names if not ((ROOT / name).exists() or (ROOT / f"{name}.py").exists())
        ]

    assert missing == []


def test_the_readme_leads_to_every_page() -> None:
    text = text_of(ROOT / "README.md")
    pages = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.*")]

    assert [page for page in pages if f"]({page})" not in text] == []
