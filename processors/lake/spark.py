"""The columns of the lake as types of Spark, for streams that one machine cannot write.

Place: catalog, columns → HERE → deploy/spark/lake.py, which reads what ``penstock lake --spark`` prints.
Rules: the columns are the same as those of the tables, so queries are too. Nothing of Spark is imported: the plan is
text, and the cluster needs nothing of this program.
Not here: the job (deploy/spark/lake.py), what becomes of unfit events there (docs/LAKE.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from processors.lake.catalog import Catalog
from processors.lake.columns import Kind, ListOf, MapOf, Plain, Record
from processors.lake.naming import table_name

_PLAIN: Final = {
    Plain.TEXT: "STRING",
    Plain.INSTANT: "TIMESTAMP",
    Plain.LONG: "BIGINT",
    Plain.DOUBLE: "DOUBLE",
    Plain.BOOLEAN: "BOOLEAN",
    Plain.JSON: "STRING",
    Plain.LOOSE: "STRING",
}


class Planned(Struct, frozen=True):
    """One table. ``read`` is the type of its events with their own names, ``write`` the same with those of the columns;
    ``schemas`` is what ``$schema`` begins with."""

    stream: str
    table: str
    topics: list[str]
    schemas: str
    read: str
    write: str


def plan(catalog: Catalog) -> Iterator[Planned]:
    """Yield each table of each stream that is written."""
    for name, stream in catalog.streams.items():
        title = stream.schema_title
        assert title is not None
        for major in catalog.majors(title):
            if (latest := catalog.latest(title, major)) is None:
                continue
            columns = latest[1]
            read, write = type_of(columns, is_read=True), type_of(columns, is_read=False)
            schemas = f"/{title}/{major}."
            yield Planned(name, table_name(name, major), catalog.topics(stream), schemas, read, write)


def type_of(kind: Kind, *, is_read: bool) -> str:
    """Return a type as Spark writes it; with ``is_read`` by the names in events."""
    match kind:
        case ListOf():
            return f"ARRAY<{type_of(kind.item, is_read=is_read)}>"
        case MapOf():
            return f"MAP<STRING, {type_of(kind.value, is_read=is_read)}>"
        case Record():
            parts = [
                f"{_quoted(one.name if is_read else one.column)}: {type_of(one.kind, is_read=is_read)}"
                for one in kind.fields
            ]
            return f"STRUCT<{', '.join(parts)}>"
    return _PLAIN[kind]


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
