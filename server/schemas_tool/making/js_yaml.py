"""Write YAML as js-yaml 3 writes it, so that files which jsonschema-tools has written do not change.

Place: materialize → HERE → a versioned file.
Rules: the bytes are those of ``yaml.dump(value, {sortKeys})`` with a line width of 80. Maps, lists, text, numbers,
booleans and null are all that is written, without anchors.
Source: js-yaml 3.14, lib/js-yaml/dumper.js.
Not here: the order of keys (materialize).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

WIDTH: Final = 80
INDENT: Final = 2

# YAML 1.1 reads these as booleans, so js-yaml quotes them.
_OLD_BOOLEANS: Final = frozenset(
    ("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF")
)
_NOT_FIRST: Final = frozenset("-?:,[]{}#&*!|=>'\"%@` \t")
_NEVER_PLAIN: Final = frozenset(",[]{}:\ufeff")
_IMPLICIT: Final = re.compile(
    r"~|null|Null|NULL|true|True|TRUE|false|False|FALSE|<<"
    r"|[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*(:[0-5]?[0-9])*)"
    r"|[-+]?(0|[1-9][0-9_]*)(\.[0-9_]*)?([eE][-+]?[0-9]+)?|\.[0-9_]+([eE][-+]?[0-9]+)?"
    r"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}"
)
_ESCAPES: Final = {
    "\0": "\\0",
    "\a": "\\a",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\v": "\\v",
    "\f": "\\f",
    "\r": "\\r",
    "\x1b": "\\e",
    '"': '\\"',
    "\\": "\\\\",
    "\x85": "\\N",
    "\xa0": "\\_",
    "\u2028": "\\L",
    "\u2029": "\\P",
}

Order = Callable[[Iterable[str]], list[str]]


def dump(value: Any, order: Order) -> str:
    """Return the document. ``order`` sorts the keys of each map."""
    return _node(value, 0, order, is_compact=True) + "\n"


def _node(value: Any, level: int, order: Order, *, is_compact: bool = False) -> str:
    if isinstance(value, dict) and value:
        return _lines((_pair(key, value[key], level, order) for key in order(value)), level, is_compact)
    if isinstance(value, list) and value:
        items = (_item(_node(item, level + 1, order, is_compact=True)) for item in value)
        return _lines(items, level, is_compact)
    if isinstance(value, dict | list):
        return "{}" if isinstance(value, dict) else "[]"
    return _text(value, level) if isinstance(value, str) else _plain(value)


def _lines(entries: Iterable[str], level: int, is_compact: bool) -> str:
    begin = "\n" + " " * (INDENT * level)
    text = begin.join(entries)
    return text if is_compact else begin + text


def _pair(key: str, value: Any, level: int, order: Order) -> str:
    written = _node(value, level + 1, order)
    name = _text(key, level + 1, is_key=True)
    return f"{name}:{written}" if written.startswith("\n") else f"{name}: {written}"


def _item(written: str) -> str:
    return f"-{written}" if written.startswith("\n") else f"- {written}"


def _plain(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


def _text(text: str, level: int, *, is_key: bool = False) -> str:
    if not text:
        return "''"
    if text in _OLD_BOOLEANS:
        return f"'{text}'"
    indent = INDENT * max(1, level)
    width = max(min(WIDTH, 40), WIDTH - indent)
    if not all(_is_printable(char) or (char == "\n" and not is_key) for char in text):
        return '"' + "".join(_escaped(char) for char in text) + '"'
    is_foldable = not is_key and any(len(line) > width and line[0] != " " for line in text.split("\n"))
    if "\n" not in text and not is_foldable:
        return text if _may_be_plain(text) else "'" + text.replace("'", "''") + "'"
    body = _folded(text, width) if is_foldable else text
    shifted = re.sub(r"^(?=[^\n])", " " * indent, body, flags=re.MULTILINE)
    return (">" if is_foldable else "|") + _header(text) + shifted.removesuffix("\n")


def _is_printable(char: str) -> bool:
    return (
        " " <= char <= "~"
        or ("\xa1" <= char <= "\ud7ff" and char not in "\u2028\u2029")
        or ("\ue000" <= char <= "\ufffd" and char != "\ufeff")
    )


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if _is_printable(char):
        return char
    if ord(char) < 0x100:
        return f"\\x{ord(char):02X}"
    return f"\\u{ord(char):04X}" if ord(char) < 0x10000 else f"\\U{ord(char):08X}"


def _may_be_plain(text: str) -> bool:
    if text[0] in _NOT_FIRST or text[-1] in " \t" or _IMPLICIT.fullmatch(text):
        return False
    return not any(char in _NEVER_PLAIN for char in text) and not re.search(r"(^|\s)#", text)


def _header(text: str) -> str:
    indicator = str(INDENT) if re.match(r"\n* ", text) else ""
    if not text.endswith("\n"):
        return f"{indicator}-\n"
    return f"{indicator}+\n" if text.endswith("\n\n") or text == "\n" else f"{indicator}\n"


def _folded(text: str, width: int) -> str:
    first, *_ = text.split("\n", 1)
    result = _fold_line(first, width)
    was_indented = text[0] in "\n "
    for match in re.finditer(r"(\n+)([^\n]*)", text[len(first) :]):
        breaks, line = match.groups()
        is_indented = line.startswith(" ")
        result += breaks + ("\n" if not was_indented and not is_indented and line else "") + _fold_line(line, width)
        was_indented = is_indented
    return result


def _fold_line(line: str, width: int) -> str:
    if not line or line[0] == " ":
        return line
    lines, start, at = [], 0, 0
    for match in re.finditer(r" (?=[^ ])", line):
        space = match.start()
        if space - start > width:
            end = at if at > start else space
            lines.append(line[start:end])
            start = end + 1
        at = space
    if len(line) - start > width and at > start:
        lines += [line[start:at], line[at + 1 :]]
    else:
        lines.append(line[start:])
    return "\n".join(lines)
