"""Find the versioned schemas below a directory, and read them with their places.

Place: compare, lint, docs → HERE → files.
Rules: a version is a file ``<title>/<major.minor.patch>.yaml`` or ``.json``; where both are there, YAML is read. A
title is the path of its folder. Nothing is read before it is asked for.
Not here: ``current`` files (materialize), states in git (against).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml

from server.errors import UsageError
from server.schemas_tool.making.materialize import MaterializeError, numbers, read

_NAME: Final = re.compile(r"([0-9]+\.[0-9]+\.[0-9]+)\.(yaml|json)")
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
SEVERITY: Final = {"patch": 0, "minor": 1, "major": 2}


class Version:
    """One version of a title."""

    def __init__(self, root: Path, title: str, version: str, path: Path) -> None:
        self.root, self.title, self.version, self.path = root, title, version, path

    @property
    def name(self) -> str:
        """The path of the file, as it is shown."""
        return os.path.relpath(self.path)

    @property
    def uri(self) -> str:
        """The value of ``$schema`` in its events: ``/title/1.0.0``."""
        return f"/{self.title}/{self.version}"

    @property
    def numbers(self) -> tuple[int, ...]:
        """Major, minor and patch."""
        return numbers(self.version)

    @cached_property
    def contents(self) -> Any:
        """The schema. Raises MaterializeError for a file that is none."""
        contents = read(self.path)
        if not isinstance(contents, dict):
            raise MaterializeError(f"{self.path}: holds no schema")
        return contents

    @cached_property
    def text(self) -> str:
        """The file."""
        return self.path.read_text(encoding="utf-8", errors="replace")

    @cached_property
    def _places(self) -> dict[tuple[str | int, ...], tuple[int, int]]:
        try:
            if not self.contents:  # Only a file that could be read is composed: its depth and its aliases are bounded.
                return {}
            return dict(_places_in(self.text))
        except (MaterializeError, yaml.YAMLError, OSError):
            return {}  # The file is reported as unusable, at its beginning.

    def place(self, path: tuple[str | int, ...]) -> tuple[int, int]:
        """Return line and column of a path in the schema, or of what is nearest above it; both count from 1."""
        for length in range(len(path), -1, -1):
            if path[:length] in self._places:
                return self._places[path[:length]]
        return 1, 1

    def path_of(self, pointer: str) -> tuple[str | int, ...]:
        """Return the path of a JSON pointer in the schema, as far as it leads there and not through a reference."""
        path: tuple[str | int, ...] = ()
        contents = self.contents
        for token in pointer.split("/")[1:]:
            name = token.replace("~1", "/").replace("~0", "~")
            step = int(name) if isinstance(contents, list) and name.isdecimal() else name
            try:
                contents = contents[step]
            except (LookupError, TypeError):
                break
            path = (*path, step)
        return path


def _places_in(text: str) -> Iterator[tuple[tuple[str | int, ...], tuple[int, int]]]:
    """Yield the place of each path. Merged members (``<<``) have none: the reader counts their aliases otherwise."""
    waiting: list[tuple[tuple[str | int, ...], Any, Any]] = []
    root = yaml.compose(text, Loader=_LOADER)
    if root is not None:
        waiting.append(((), root, root.start_mark))
    while waiting:
        path, node, mark = waiting.pop()
        yield path, (mark.line + 1, mark.column + 1)
        if isinstance(node, yaml.MappingNode):
            named = ((key, value) for key, value in node.value if key.value != "<<")
            waiting += [((*path, key.value), value, key.start_mark) for key, value in named]
        elif isinstance(node, yaml.SequenceNode):
            waiting += [((*path, index), item, item.start_mark) for index, item in enumerate(node.value)]


def bump_between(old: Version, new: Version) -> str:
    """Return which number of the version was raised."""
    if new.numbers[0] != old.numbers[0]:
        return "major"
    return "minor" if new.numbers[1] != old.numbers[1] else "patch"


def titles_below(root: Path) -> dict[str, list[Version]]:
    """Return the versions of each title, oldest first. Raises UsageError for a directory that cannot be read."""
    if not root.is_dir():
        raise UsageError(f"{root} is no directory")
    found: dict[str, dict[str, Version]] = {}
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        title = Path(folder).relative_to(root).as_posix()
        for file in sorted(files):
            match = _NAME.fullmatch(file)
            path = Path(folder, file)
            if (
                match is not None
                and not path.is_symlink()
                and (match[2] == "yaml" or match[1] not in found.get(title, {}))
            ):
                found.setdefault(title, {})[match[1]] = Version(root, title, match[1], path)
    return {title: sorted(each.values(), key=lambda version: version.numbers) for title, each in sorted(found.items())}


def currents_below(root: Path) -> list[Path]:
    """Return all ``current`` files, in the order of their titles. Raises UsageError."""
    if not root.is_dir():
        raise UsageError(f"{root} is no directory")
    return sorted(path for name in ("current.yaml", "current.json") for path in root.rglob(name))
