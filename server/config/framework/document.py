"""A YAML document with the origin of each of its values.

Place: file, environment and command line → HERE → config.framework.judge.
Rule: maps merge, everything else replaces; the later source wins and is the one that messages name.
Not here: which keys exist (config.settings).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from server.config.framework.finding import Finding, kind_of
from server.config.framework.yaml import YamlError, load_yaml
from server.errors import SettingsError

Key = str | int
KeyPath = tuple[Key, ...]
Origin = tuple[str, int]  # File and line; or the variable or option, and 0.


class SettingsDocument:
    """A document. ``value`` is the merged map; ``lines`` has the line of each path in the file. The origins of
    overrides are stored apart, as 100,000 paths of a large file would otherwise cost 60 bytes more each."""

    __slots__ = ("_put", "lines", "name", "value")

    def __init__(self, name: str, value: dict[str, Any], lines: dict[KeyPath, int]) -> None:
        self.name = name
        self.value = value
        self.lines = lines
        self._put: dict[KeyPath, Origin] = {}

    def written(self, path: KeyPath) -> Origin | None:
        """Return where this very path was written, or None."""
        line = self.lines.get(path)
        return self._put.get(path) if line is None else (self.name, line)

    def origin(self, path: KeyPath) -> Origin:
        """Return where the value at the path, or the nearest value around it, was written."""
        for length in range(len(path), 0, -1):
            if found := self.written(path[:length]):
                return found
        return (self.name, 0)

    def put(self, path: tuple[str, ...], value: Any, origin: str) -> None:
        """Set one value over an existing one."""
        parent = self.value
        for name in path[:-1]:
            below = parent.get(name)
            if not isinstance(below, dict):
                below = parent[name] = {}
            parent = below
        before = parent.get(path[-1])
        if isinstance(value, dict) and isinstance(before, dict):
            for name, inner in value.items():
                self.put((*path, name), inner, origin)
            return
        self._forget(path)
        parent[path[-1]] = value
        self._put[path] = (origin, 0)

    def _forget(self, path: tuple[str, ...]) -> None:
        """Drop the lines of a value that will be replaced, because messages would name the wrong source."""
        for places in (self.lines, self._put):
            for known in [known for known in places if known[: len(path)] == path]:
                del places[known]


def read(path: Path, *, hint: str = "check the path after -c", list_key: str | None = None) -> SettingsDocument:
    """Read one file whose top is a map. Raises SettingsError naming file and line.

    ``list_key``: a list at the top is taken too, as if it stood below this key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise refusal(str(path), 0, f"cannot be read: {error.strerror or error}", hint) from None
    except UnicodeDecodeError as error:
        raise refusal(str(path), 0, f"is not UTF-8 text (byte {error.start})", "save it as UTF-8") from None
    return parse(text, str(path), list_key=list_key)


def parse(text: str, name: str, *, list_key: str | None = None) -> SettingsDocument:
    """Read a YAML text; an empty one is an empty map."""
    try:
        value, lines = load_yaml(text, name, is_strict=True)
    except YamlError as error:
        raise refusal(name, error.line, error.reason, "the file must be YAML 1.2 (JSON is YAML)") from None
    if value is None:
        return SettingsDocument(name, {}, {})
    if isinstance(value, list) and list_key is not None:
        return SettingsDocument(name, {list_key: value}, {(list_key, *path): line for path, line in lines.items()})
    if not isinstance(value, dict):
        raise refusal(
            name, 1, f"the top must be a map of settings, not a {kind_of(value)}", "write `name: value` lines"
        )
    return SettingsDocument(name, value, lines)


def refusal(file: str, line: int, reason: str, hint: str) -> SettingsError:
    """Return one finding as the error that ends the start."""
    return SettingsError(str(Finding(level="error", file=file, line=line, reason=reason, hint=hint)))


def dotted(path: KeyPath) -> str:
    """``("http", "listen", 0)`` → ``http.listen[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
