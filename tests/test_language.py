"""Texts for users keep out of the old dialect: the words of SIGNS occur in none of them, but for EXCEPTIONS."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.harness.running import ROOT

SIGNS = re.compile(r"\b(nobody|somebody|whoever|whatever|anew|undo|undone|undoes)\b", re.IGNORECASE)
PAGES = ("README.md", "CONTRIBUTING.md", "Makefile", "bench/README.md", "compose.yaml", "Dockerfile")
# Sentences with a sign that stay, and why.
EXCEPTIONS = {
    "somebody has deleted it, with what it held": "a log line that filters match on; it changes with the spool"
}


def pages() -> Iterator[tuple[Path, str]]:
    """Every page for users, with its text: documentation, the specification, and the files of a deployment."""
    found = [ROOT / name for name in PAGES] + [*(ROOT / "docs").rglob("*.md"), ROOT / "server/pages/openapi.yaml"]
    found += [path for path in (ROOT / "deploy").rglob("*") if path.is_file() and path.suffix not in (".pyc", ".json")]
    for path in found:
        yield path, path.read_text(encoding="utf-8")


def strings() -> Iterator[tuple[Path, str]]:
    """Every string of the server that is not a docstring: log lines, findings, problem texts, help."""
    for path in (ROOT / "server").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
                yield path, node.value


def test_texts_for_users_have_none_of_the_signs() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path, text in [*pages(), *strings()]
        for line in text.splitlines()
        if SIGNS.search(line) and not any(allowed in line for allowed in EXCEPTIONS)
    ]

    assert found == []
