"""Compare a document with the structs, and say everything that is wrong with it.

Place: config.framework.document → HERE → config.load.
Rule: every problem is found, not the first alone; whether a value is allowed is msgspec's word, the text is ours; a
secret's value is in no message.
Not here: what settings ask of one another (config.rules).
"""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec

from server.config.framework import shape
from server.config.framework.document import Document, KeyPath, dotted
from server.config.framework.finding import Finding, kind_of, quoted
from server.config.framework.section import Section
from server.config.settings import Config, is_secret

_ABOVE_SECRETS = (("sink",), ("sink", "kafka"), ("streams",), ("schemas",), ("auth",))


def judge(document: Document) -> list[Finding]:
    """All that is wrong with the document's keys and values, in the order of the document."""
    findings: list[Finding] = []
    _section(document, document.value, Config, (), findings)
    _secrets(document, findings)
    return findings


def nearest(name: str, section: type[Section], above: tuple[str, ...]) -> str:
    """A hint for a name that is none: the likeliest neighbour, or the same name elsewhere."""
    known = list(shape.fields(section))
    if close := difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6):
        return f"did you mean {dotted((*above, close[0]))}?"
    elsewhere = [path for path, _ in shape.every(Config) if path[-1] == name.lower()]
    if elsewhere:
        return f"did you mean {dotted(elsewhere[0])}?"
    return f"known here: {', '.join(known)}"


def _section(
    document: Document, value: Any, section: type[Section], path: tuple[str, ...], findings: list[Finding]
) -> None:
    fields = shape.fields(section)
    for key, inner in value.items():
        kind = fields.get(key)
        if kind is None:
            _add(document, (*path, key), "unknown setting", nearest(str(key), section, path), findings)
        elif (below := shape.section_of(kind)) is None:
            _value(document, inner, kind, (*path, key), findings)
        elif isinstance(inner, dict):
            _section(document, inner, below, (*path, key), findings)
        elif inner is not None:  # A section whose lines are all commented out is null: its defaults hold.
            reason = f"found {_shown(inner, (*path, key))}; allowed is a map of settings"
            _add(document, (*path, key), reason, f"known in it: {', '.join(shape.fields(below))}", findings)


def _value(document: Document, value: Any, kind: Any, path: KeyPath, findings: list[Finding]) -> None:
    if _is_allowed(value, kind):
        return
    of_map, of_list = shape.map_of(kind), shape.list_of(kind)
    before = len(findings)
    if of_map is not None and isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(key, str):
                _value(document, inner, of_map, (*path, key), findings)
    elif of_list is not None and isinstance(value, list):
        for index, inner in enumerate(value):
            _value(document, inner, of_list, (*path, index), findings)
    if len(findings) > before:
        return
    reason = f"found {_shown(value, path)}; allowed is {shape.describe(kind)}"
    _add(document, path, reason, _hint(value, kind, str(path[-1])), findings)


def _secrets(document: Document, findings: list[Finding]) -> None:
    """A password that YAML takes for a number or a boolean is another one: 0123 is 123, 1e3 is 1000.0."""
    sink = document.value.get("sink")
    kafka = sink.get("kafka") if isinstance(sink, dict) else None
    for name, value in (kafka if isinstance(kafka, dict) else {}).items():
        if is_secret(name) and isinstance(value, bool | int | float):
            path = ("sink", "kafka", name)
            _add(document, path, f"found {_shown(value, path)}; a secret is text", "put it in quotes", findings)


def _is_allowed(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _shown(value: Any, path: KeyPath) -> str:
    """The value for a message, or its kind alone where a secret may be in it."""
    is_kafka_secret = path[:2] == ("sink", "kafka") and is_secret(str(path[-1]))
    is_secret_place = path[1:2] == ("headers",) or path[:2] == ("auth", "keys")
    may_hold_secret = path in _ABOVE_SECRETS or is_secret_place or is_kafka_secret
    return f"{kind_of(value)} (not shown)" if may_hold_secret else quoted(value)


def _hint(value: Any, kind: Any, name: str) -> str:
    if value is None:
        return "leave the line out to have the default"
    if _is_allowed([value], kind):
        return "write it as a list: [value]"
    if _is_allowed(str(value), kind) and isinstance(value, bool | int | float):
        return "put it in quotes"
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]+(_[0-9]+)+", value):
        return "write the number without underscores"
    if isinstance(value, str) and any(_is_allowed(number, kind) for number in _numbers(value)):
        return "write the number without quotes"
    if name.endswith("_bytes"):
        return "write bytes as a plain number: 1 MiB is 1048576"
    if name.endswith("_s"):
        return "write seconds as a plain number"
    return ""


def _numbers(text: str) -> list[float]:
    """The number that a text is, if it is one."""
    for kind in (int, float):
        try:
            return [kind(text)]
        except ValueError:
            continue
    return []


def _add(document: Document, path: KeyPath, reason: str, hint: str, findings: list[Finding]) -> None:
    file, line = document.origin(path)
    findings.append(Finding(level="error", file=file, line=line, key=dotted(path), reason=reason, hint=hint))
