"""The one door to the package ``validators``: schemas by URI, what streams ask of them, YAML 1.2, ECMA-262 regexes.

Place: commands.check reads ahead through it; intake.route → HERE → validators.
Rules: no other module of ``server`` imports ``validators``. What a schema's absence means is a value here, not an
exception: ``find`` is on an event's way.
Not here: reading, compiling and caching schemas (validators.registry), words for clients (intake.route).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from server.errors import SettingsError
from validators import Problem, Registry, SchemaError, Validator, errors_text, pattern, yaml12

if TYPE_CHECKING:
    from server.config.catalog_settings import Schemas as SchemaSettings

__all__ = [
    "Problem",
    "Schemas",
    "Unusable",
    "Validator",
    "YamlError",
    "compile_regex",
    "errors_text",
    "is_slow_regex",
    "load_yaml",
    "open_schemas",
]

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class YamlError(Exception):
    """A text that is not YAML 1.2, or has a name twice in one map; ``line`` counts from 1, 0 when unknown."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def load_yaml(text: str, name: str) -> tuple[Any, dict[tuple[str | int, ...], int]]:
    """The value, and the line of every path in it. Raises YamlError."""
    try:
        return yaml12.load_with_lines(text, name)
    except yaml12.YamlError as error:
        raise YamlError(error.line, error.reason) from None


def compile_regex(text: str) -> re.Pattern[str]:
    """Read a regular expression as ECMA-262 does. Raises ValueError saying what it has that it may not."""
    return pattern.compiled(text)


def is_slow_regex(text: str) -> bool:
    """Whether a text can be made for which it takes for ever. Raises ValueError as above."""
    return pattern.has_nested_quantifiers(text)


class Unusable(Struct, frozen=True):
    """A schema that exists and cannot be used: which, and why in the registry's words (for operators, not clients)."""

    uri: str
    error_type: str
    reason: str


class Schemas:
    """The schemas of one configuration. Compiled ones are kept, so a fork shares what was read before it."""

    __slots__ = ("_registry",)

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def find(self, uri: str) -> Validator | tuple[str, str]:
        """The schema's validator, or the ``error_type`` and the reason for the log."""
        try:
            return self._registry.validator(uri)
        except SchemaError as error:
            return error.error_type, str(error)

    def versions(self, title: str) -> list[str]:
        """URIs of the versions of a title, oldest first; none when no repository has it."""
        return self._registry.uris_of(title)

    def declares(self, title: str, path: tuple[str, ...]) -> bool:
        """Whether any version of the title that can be used declares the property; the latest is asked first."""
        for uri in reversed(self.versions(title)):
            found = self.find(uri)
            if not isinstance(found, tuple) and found.declares(path):
                return True
        return False

    def read_ahead(self, titles: Sequence[str]) -> list[Unusable]:
        """Compile every version of the titles, and tell those that cannot be."""
        unusable = []
        for title in titles:
            for uri in self.versions(title):
                found = self.find(uri)
                if isinstance(found, tuple):
                    unusable.append(Unusable(uri, *found))
        return unusable


def open_schemas(settings: SchemaSettings, base_dir: Path) -> Schemas:
    """The registry of these settings; a base URI that is no URL is a directory, relative to ``base_dir``.

    Raises SettingsError for a base that cannot be used.
    """
    base_uris = [text if _URL.match(text) else str(base_dir / text) for text in settings.base_uris]
    try:
        registry = Registry(
            base_uris,
            extension=settings.file_extension,
            allow_insecure=settings.allow_insecure,
            allow_absolute_uris=settings.allow_absolute_uris,
            max_cached=settings.max_cached,
        )
    except SchemaError as error:
        raise SettingsError(str(error)) from None
    return Schemas(registry)
