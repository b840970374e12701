"""Types of events as Python: a TypedDict for each stream, and a Protocol whose ``submit`` knows them.

Place: commands.types → HERE.
Rule: the text depends on its streams alone. It costs nothing at run time but its import: no classes are checked.
Not here: what the types say (event_types.shapes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from server.event_types.naming import Names, objects_of
from server.event_types.shapes import Fields, Items, Literals, OneOf, Shape, Values
from server.event_types.typed import TypedStream

_PLAIN: Final = {
    "any": "Any",
    "null": "None",
    "boolean": "bool",
    "integer": "int",
    "number": "float",
    "string": "str",
}
_HEAD: Final = '''\
"""Types of events, made by `penstock types --lang py`. Make them again instead of changing them here.

    intake = typed(Intake(url, schemas=SCHEMAS))
"""

# fmt: off
# ruff: noqa

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Mapping, NotRequired, Protocol, Required, TypedDict, cast, overload

if TYPE_CHECKING:
    from penstock_client import FlushResult, Intake, Ticket
'''
_SUBMIT: Final = """\
    def submit(
        self, stream: {stream}, event: {event}, *, hasty: bool | None = ..., ids: Mapping[str, str] | None = ...
    ) -> Ticket: ...
"""
_TAIL: Final = '''
    def flush(self, timeout: float = ...) -> FlushResult: ...

    def close(self, timeout: float = ...) -> FlushResult: ...


def typed(intake: Intake) -> TypedIntake:
    """Return the same object, with a `submit` that knows the fields of each stream."""
    return cast("TypedIntake", intake)
'''
_TAKEN: Final = (
    "Any",
    "Literal",
    "Mapping",
    "NotRequired",
    "Protocol",
    "Required",
    "TypedDict",
    "TypedIntake",
    "Ticket",
)


def render(streams: Sequence[TypedStream]) -> str:
    """Return the module."""
    names = Names((*_TAKEN, "Intake", "FlushResult"))
    parts = [_HEAD]
    events: list[str] = []
    for stream in streams:
        known: dict[Fields, str] = {}
        for each in [*objects_of(stream.shape)]:
            if each not in known:
                known[each] = names.give(stream.name, *each.path)
                parts.append(_typed_dict(known[each], each, known, stream if each is stream.shape else None))
        events.append(known[stream.shape])
    exact = [(stream, event) for stream, event in zip(streams, events, strict=True) if not stream.is_pattern]
    patterns = [event for stream, event in zip(streams, events, strict=True) if stream.is_pattern]
    schemas = "".join(f"    {stream.name!r}: {stream.uri!r},\n" for stream, _ in exact)
    parts.append(
        "# The schema of each stream, for `Intake(schemas=...)`: events need no `$schema` then.\n"
        f"SCHEMAS = {{\n{schemas}}}\n"
    )
    submits = [_SUBMIT.format(stream=f"Literal[{stream.name!r}]", event=event) for stream, event in exact]
    if patterns:  # Streams that a regular expression declares: any name.
        submits.append(_SUBMIT.format(stream="str", event=" | ".join(patterns)))
    mark = "    @overload\n" if len(submits) > 1 else ""
    body = "\n".join(mark + submit for submit in submits)
    parts.append(
        "\nclass TypedIntake(Protocol):\n"
        f'    """An `Intake` whose `submit` knows the fields of each stream."""\n\n{body}{_TAIL}'
    )
    return "\n".join(parts)


def _typed_dict(name: str, shape: Fields, known: dict[Fields, str], stream: TypedStream | None) -> str:
    lines = [f"# Events of {stream.name}: {stream.uri}" if stream is not None else ""]
    lines.append(f'{name} = TypedDict("{name}", {{')
    for member in shape.members:
        need = "Required" if member.is_required else "NotRequired"
        if member.description:
            lines.append(f"    # {member.description}")
        lines.append(f"    {member.name!r}: {need}[{_text(member.shape, known)}],")
    lines.append("})")
    return "\n".join(line for line in lines if line) + "\n"


def _text(shape: Shape, known: dict[Fields, str]) -> str:
    if isinstance(shape, str):
        return _PLAIN[shape]
    if isinstance(shape, Literals):
        return f"Literal[{', '.join(map(repr, shape.values))}]"
    if isinstance(shape, Items):
        return f"list[{_text(shape.item, known)}]"
    if isinstance(shape, Fields):
        return known[shape]
    if isinstance(shape, Values):
        return f"Mapping[str, {_text(shape.value, known)}]"
    assert isinstance(shape, OneOf)
    return " | ".join(dict.fromkeys(_text(one, known) for one in shape.shapes))
