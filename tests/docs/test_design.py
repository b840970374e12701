"""docs/DESIGN.md names files and functions that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "DESIGN.md").read_text(encoding="utf-8")
# `http/reader.py: Reader.recall` and, behind it, `feed` or `Reader.feed`: more names of the same file.
NAMED = re.compile(r"`((?:[\w-]+/)*\w+\.py): ([\w.]+)`((?:,? (?:and )?`\w+(?:\.\w+)?`(?!:))*)")
FILES = re.compile(r"`((?:[\w-]+/)*\w+\.py)[`:]")


def place_of(name: str) -> Path | None:
    """Files are named from ``server`` on, or from the top; a file of tests by its name alone too."""
    if name.startswith("test_"):
        return next((ROOT / "tests").rglob(name), None)
    return next((path for base in ("server", "") if (path := ROOT / base / name).is_file()), None)


def names_in(path: Path) -> set[str]:
    """What the page may say of a file: its functions and classes, ``Class.method``, and ``Class.attribute``."""
    found: set[str] = set()

    def walk(node: ast.AST, owner: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                found.update({f"{owner}{child.name}", child.name})
                walk(child, owner)
            elif isinstance(child, ast.ClassDef):
                found.add(child.name)
                walk(child, f"{child.name}.")
            elif isinstance(child, ast.Attribute) and isinstance(child.ctx, ast.Store):
                found.add(f"{owner}{child.attr}")
            else:
                if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                    found.update({f"{owner}{child.id}", child.id})
                walk(child, owner)

    walk(ast.parse(path.read_text(encoding="utf-8")), "")
    return found


NAMES = sorted(
    {(file, name) for file, first, more in NAMED.findall(TEXT) for name in (first, *re.findall(r"`([\w.]+)`", more))}
)


def test_the_page_names_many() -> None:
    assert len(NAMES) > 60


@pytest.mark.parametrize("file", sorted(set(FILES.findall(TEXT))))
def test_a_file_that_the_page_names_is_there(file: str) -> None:
    assert place_of(file) is not None


@pytest.mark.parametrize(("file", "name"), NAMES)
def test_a_function_that_the_page_names_is_in_its_file(file: str, name: str) -> None:
    path = place_of(file)

    assert path is not None
    assert name in names_in(path)
