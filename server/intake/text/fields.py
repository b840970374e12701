"""The fields in which an event names its schema, its stream, its ID and its time, by the settings.

Place: intake.router, intake.error_events → HERE.
Rule: of several fields for one thing the first that is present wins.
Not here: their content (intake.router).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from server.intake.text.members import MemberReader, Path

if TYPE_CHECKING:
    from server.config.settings import Config


class Fields(NamedTuple):
    """The fields of the settings; of a list the first that is present wins."""

    schema_uri: tuple[Path, ...]
    stream: tuple[Path, ...]
    id: Path
    dt: Path

    @classmethod
    def of(cls, config: Config) -> Fields:
        settings = config.intake
        return cls(
            _paths(settings.schema_uri_field), _paths(settings.stream_field), _path(settings.id_field),
            _path(settings.dt_field),
        )  # fmt: skip


class EventMembers(MemberReader):
    """Reads the fields that name schema and stream, and further members."""

    def __init__(self, fields: Fields, paths: Iterable[Path]) -> None:
        super().__init__((*fields.schema_uri, *fields.stream, *paths))
        self.schema_at = tuple(map(self.at, fields.schema_uri))
        self.stream_at = tuple(map(self.at, fields.stream))


def dotted(paths: tuple[Path, ...]) -> str:
    """Return the fields as a message names them."""
    return " or ".join(f"'.{'.'.join(path)}'" for path in paths)


def _path(text: str) -> Path:
    return tuple(text.split("."))


def _paths(given: str | list[str]) -> tuple[Path, ...]:
    return tuple(_path(one) for one in ([given] if isinstance(given, str) else given))
