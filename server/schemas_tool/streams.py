"""Read which title each declared stream names.

Place: lint.lint, telling.pages → HERE.
Rules: the file maps names to settings, or has such a map as ``streams``, as the intake reads it. A stream without a
title is passed over.
Not here: other settings of streams (server.catalog).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from server.config.framework.yaml import YamlError, load_yaml
from server.errors import UsageError


class Named(NamedTuple):
    """A stream, the title that it names, and where the file says so."""

    stream: str
    title: str
    path: tuple[str, ...]
    line: int


def titles_named_in(file: Path) -> Iterator[Named]:
    """Yield the streams of a file. Raises UsageError."""
    try:
        value, lines = load_yaml(file.read_text(encoding="utf-8"), str(file))
    except YamlError as error:
        raise UsageError(f"{file}:{error.line}: {error.reason}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: {error}") from None
    is_wrapped = isinstance(value, dict) and isinstance(value.get("streams"), dict)
    entries = value["streams"] if is_wrapped else value
    for name, settings in entries.items() if isinstance(entries, dict) else ():
        title = settings.get("schema_title") if isinstance(settings, dict) else None
        if isinstance(title, str):
            at = ("streams", str(name)) if is_wrapped else (str(name),)
            yield Named(str(name), title, at, lines.get((*at, "schema_title"), lines.get(at, 1)))
