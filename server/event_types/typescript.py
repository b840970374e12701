"""Types of events as TypeScript: an interface for each stream, and the map by which ``submit`` knows them.

Place: commands.types → HERE.
Rule: the text depends on its streams alone. It has types and nothing else: a page that uses it grows by no byte.
Not here: what the types say (event_types.shapes).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from server.event_types.naming import Names, objects_of
from server.event_types.shapes import Fields, Items, Literals, OneOf, Shape, Values
from server.event_types.typed import TypedStream

_PLAIN: Final = {
    "any": "unknown",
    "null": "null",
    "boolean": "boolean",
    "integer": "number",
    "number": "number",
    "string": "string",
}
_HEAD: Final = (
    "// Types of events, made by `penstock types --lang ts`. Make them again instead of changing them here.\n"
)
_NAME: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
# The part of a regular expression that is a plain beginning: ^app\.tick\..+ has app.tick.
_BEGINNING: Final = re.compile(r"/\^((?:[A-Za-z0-9_-]|\\[./-])+)\.[+*]\$?/")


def render(streams: Sequence[TypedStream]) -> str:
    """Return the module."""
    names = Names(("Streams",))
    parts = [_HEAD]
    lines: list[str] = []
    for stream in streams:
        known: dict[Fields, str] = {}
        for each in objects_of(stream.shape):
            if each not in known:
                known[each] = names.give(stream.name, *each.path)
                parts.append(_interface(known[each], each, known, stream if each is stream.shape else None))
        lines.append(_entry(stream, known[stream.shape]))
    body = "\n".join(lines)
    parts.append(f'declare module "penstock-client" {{\n  interface Streams {{\n{body}\n  }}\n}}\n')
    return "\n".join(parts)


def _entry(stream: TypedStream, event: str) -> str:
    if not stream.is_pattern:
        return f"    {json.dumps(stream.name)}: {event};"
    found = _BEGINNING.fullmatch(stream.name)
    if found is None:
        return f"    // {stream.name} is a regular expression that no type of names says: {event}"
    beginning = found[1].replace("\\", "")
    return f"    [stream: `{beginning}${{string}}`]: {event};"


def _interface(name: str, shape: Fields, known: dict[Fields, str], stream: TypedStream | None) -> str:
    lines = [f"/** Events of `{stream.name}`: {stream.uri} */".replace("*/ */", "* / */")] if stream is not None else []
    lines.append(f"export interface {name} {{")
    for member in shape.members:
        if member.description:
            lines.append(f"  /** {member.description.replace('*/', '* /')} */")
        # The intake wants every event to name its schema, and this library cannot know the version.
        is_required = member.is_required or (stream is not None and member.name == "$schema")
        own = json.dumps(stream.uri) if stream is not None and member.name == "$schema" else _text(member.shape, known)
        key = member.name if _NAME.fullmatch(member.name) else json.dumps(member.name)
        lines.append(f"  {key}{'' if is_required else '?'}: {own};")
    return "\n".join([*lines, "}", ""])


def _text(shape: Shape, known: dict[Fields, str]) -> str:
    if isinstance(shape, str):
        return _PLAIN[shape]
    if isinstance(shape, Literals):
        return " | ".join(json.dumps(value) for value in shape.values)
    if isinstance(shape, Items):
        return f"Array<{_text(shape.item, known)}>"
    if isinstance(shape, Fields):
        return known[shape]
    if isinstance(shape, Values):
        return f"Record<string, {_text(shape.value, known)}>"
    assert isinstance(shape, OneOf)
    return " | ".join(dict.fromkeys(_text(one, known) for one in shape.shapes))
