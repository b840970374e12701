"""Every message of the log stands in docs/OPERATIONS.md with what to do, and every one there is in the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "OPERATIONS.md"
LOGGING = {"debug", "info", "warning", "error", "exception", "critical", "log", "lose"}
LOGGERS = re.compile(r"log|limited|trouble|lose", re.IGNORECASE)
SOAK = ("server/soak", "server/commands/soak.py")  # A tool of its own, with a report instead of a log.


def shape(message: str) -> str:
    """The first line, with ``…`` for whatever is filled in."""
    return re.sub(r"%(\.\d)?[sdgf]", "…", message.partition("\n")[0])


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOGGING:
            if LOGGERS.search(ast.unparse(node.func.value)) or node.func.attr == "lose":
                yield node


def names_of(tree: ast.AST) -> dict[str, object]:
    """Names that stand for a constant, with what they were last given."""
    return {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def message_of(call: ast.Call, known: dict[str, object]) -> str | None:
    """The text among the first two arguments that is no mere kind."""
    texts: list[str] = []
    for argument in call.args[:2]:
        value: object = argument.value if isinstance(argument, ast.Constant) else None
        if isinstance(argument, ast.Name) and argument.id not in known and texts and texts[0].isidentifier():
            return None  # Handed on: whoever calls has the text.
        if isinstance(argument, ast.Name):
            value = known.get(argument.id)
        if isinstance(value, str):
            texts.append(value)
    longest = [text for text in texts if " " in text or "%" in text] or texts
    return shape(longest[0]) if longest else None


def said_by_the_code() -> set[str]:
    found = set()
    for path in sorted(
        path for room in ("eventstreams", "processors", "server") for path in (ROOT / room).rglob("*.py")
    ):
        if path.relative_to(ROOT).as_posix().startswith(SOAK):
            continue
        tree = ast.parse(path.read_text())
        known = names_of(tree)
        found |= {message for call in calls(tree) if (message := message_of(call, known))}
    return found


def told_by_the_page() -> list[str]:
    section = PAGE.read_text().partition("\n## Log lines\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def test_every_message_is_explained() -> None:
    assert said_by_the_code() - set(told_by_the_page()) == set(), "add a row to docs/OPERATIONS.md, Log lines"


def test_every_explained_message_is_said() -> None:
    assert set(told_by_the_page()) - said_by_the_code() == set(), "no longer said: take it off docs/OPERATIONS.md"
    assert len(told_by_the_page()) == len(set(told_by_the_page()))
