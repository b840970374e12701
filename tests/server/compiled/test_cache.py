"""server.compiled.cache: a compiled form serves the sources that it was made of, and no others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server.compiled import cache
from server.compiled.modules import C_SOURCES

MODULES = ("server.road", "server.fork")
USED = "server/constants.py"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with a compiled form of its two modules, which use a third."""
    for path in (cache.BUILD, USED, *C_SOURCES, *map(cache.path_of, MODULES)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"# {path}\n", encoding="utf-8")
    made_in(tmp_path, tmp_path / cache.IN_TREE)
    return tmp_path


def made_in(root: Path, place: Path) -> None:
    directory = place / cache.key(root, MODULES)
    directory.mkdir(parents=True)
    manifest = {USED: cache.digest((root / USED).read_bytes())}
    (directory / cache.MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def test_it_is_found_for_the_sources_it_was_made_of(root: Path) -> None:
    found = cache.find(root, MODULES)

    assert found.why == ""
    assert found.library is not None
    assert found.library.parent == root / cache.IN_TREE / cache.key(root, MODULES)


@pytest.mark.parametrize("path", [cache.BUILD, *C_SOURCES, *map(cache.path_of, MODULES)])
def test_an_edited_source_has_no_compiled_form(root: Path, path: str) -> None:
    (root / path).write_text("# edited\n", encoding="utf-8")

    assert cache.find(root, MODULES) == cache.Found(None, cache.CHANGED)


def test_nor_has_one_whose_constants_come_from_an_edited_source(root: Path) -> None:
    (root / USED).write_text("# edited\n", encoding="utf-8")

    assert cache.find(root, MODULES) == cache.Found(None, f"{cache.CHANGED} ({USED})")


def test_sources_that_return_to_what_they_were_have_it_again(root: Path) -> None:
    source = root / cache.path_of(MODULES[0])
    before = source.read_bytes()
    source.write_bytes(b"# edited\n")
    assert cache.find(root, MODULES).library is None
    source.write_bytes(before)

    assert cache.find(root, MODULES).library is not None


def test_where_nothing_was_compiled_it_says_how_to(root: Path) -> None:
    (root / cache.IN_TREE).rename(root / "elsewhere")

    assert cache.find(root, MODULES) == cache.Found(None, cache.NEVER)


def test_another_list_of_modules_is_another_compiled_form(root: Path) -> None:
    assert cache.find(root, MODULES[:1]) == cache.Found(None, cache.CHANGED)


def test_the_one_in_the_wheel_is_found_as_well(root: Path) -> None:
    (root / cache.IN_TREE).rename(root / "elsewhere")
    made_in(root, root / cache.IN_WHEEL)
    found = cache.find(root, MODULES)

    assert found.library is not None
    assert found.library.is_relative_to(root / cache.IN_WHEEL)


def test_a_manifest_that_cannot_be_read_is_a_reason_to_interpret(root: Path) -> None:
    directory = root / cache.IN_TREE / cache.key(root, MODULES)
    (directory / cache.MANIFEST).write_text("{", encoding="utf-8")
    found = cache.find(root, MODULES)

    assert found.library is None
    assert str(directory) in found.why
