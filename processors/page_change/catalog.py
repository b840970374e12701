"""The streams of the intake's catalog that the processor reads and writes, and the validation of its output.

Place: settings → HERE → embedded.run, flink.
Rules: an input or output that is not declared, or declared with another schema or key, is an error before anything is
read. The output is validated by the same validators as any event of the intake.
Not here: reading topics (embedded.inputs), the mapping (map).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from processors.page_change import format as formats
from processors.page_change.map import TITLES
from processors.page_change.settings import PageChangeSettings
from processors.wrong import WrongSettingError, read_intake
from server.boot.generation import Generation
from server.catalog.stream import Stream
from server.catalog.topics import effective
from server.errors import SettingsError
from server.schemas.repository import SchemaRepository, Violation, errors_text

KEY = (("wiki_id", ("wiki_id",)), ("page_id", ("page", "page_id")))
_URIS = {
    "output": formats.SCHEMA,
    "late": formats.LATE_SCHEMA,
    "inconsistent": formats.INCONSISTENT_SCHEMA,
    "error": formats.ERROR_SCHEMA,
}


class Catalog(Struct, frozen=True):
    """``topics`` are all topics of the inputs; ``topic_of`` gives the topic of each stream that is written."""

    generation: Generation
    topics: frozenset[str]
    topic_of: dict[str, str]


def open_catalog(settings: PageChangeSettings, base_dir: Path) -> Catalog:
    """Read the intake's settings and check the streams. Raises SettingsError."""
    generation = read_intake(base_dir / settings.intake)
    topics: set[str] = set()
    for name, kind in settings.inputs.items():
        stream = _declared(generation, ("inputs", name), name, TITLES[kind])
        topics.update(effective(stream.settings, stream.name))
    topic_of = {}
    for role, uri in _URIS.items():
        name = getattr(settings, role)
        stream = _declared(generation, (role,), name, uri.strip("/").rpartition("/")[0])
        if role == "output" and stream.key_fields != KEY:
            raise WrongSettingError(
                role,
                f"stream {name!r} must have message_key_fields {{wiki_id: wiki_id, page_id: page.page_id}}, "
                "so that the changes of a page stay in order",
            )
        topic_of[name] = stream.topic
        _validator(generation.schemas, uri)
    return Catalog(generation, frozenset(topics), topic_of)


def checker(schemas: SchemaRepository) -> Callable[[bytes], str | None]:
    """Return a function that says why an output is not valid, or None."""
    check = _validator(schemas, formats.SCHEMA)

    def fault(value: bytes) -> str | None:
        found = check(value)
        return None if found is None else errors_text(found)

    return fault


def _validator(schemas: SchemaRepository, uri: str) -> Callable[[bytes], list[Violation] | None]:
    found = schemas.find_here(uri)
    if isinstance(found, tuple):
        raise SettingsError(f"schema {uri} cannot be used: {found[1]}")
    return found.check


def _declared(generation: Generation, path: tuple[str, ...], name: str, title: str) -> Stream:
    stream = generation.snapshot.find(name)
    if stream is None:
        sources = ", ".join(generation.config.streams.sources)
        raise WrongSettingError(path, f"stream {name!r} is not declared by {sources}")
    if stream.schema_title != title:
        raise WrongSettingError(path, f"stream {name!r} has schema {stream.schema_title!r}; {title!r} is needed")
    return stream
