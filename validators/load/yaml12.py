"""Read YAML 1.2 (core schema) with the parser of libyaml.

Place: files of schemas, streams and settings → HERE → plain dicts, lists, strings and numbers.
Rules:
1. Only true, false, null, integers and floats are not strings: ``yes``, ``on`` and dates stay text.
2. Keys are always strings, as they are written (``404:`` is "404").
3. A key that occurs twice is an error, and every error names the line.
4. ``<<: *base`` merges as YAML 1.1 does, and as js-yaml does in EventGate: keys of the map itself win, then those of
   earlier maps. A key takes its place where it is first named. A merged value has the line on which it was written.
   Source: yaml.org/type/merge.html. In quotes, "<<" is a key like any other.
5. The depth, and the number of values that aliases expand to, are bounded. An alias gives a copy, so the result is a
   tree.
Not here: what the values mean.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

import yaml

MAX_DEPTH = 100  # Real schemas and stream files stay below 20; a recursive reader needs a bound.
MAX_INTEGER_BITS = 14_000  # Python writes integers of at most 4,300 digits.
MAX_ALIASED_NODES = 100_000  # "Billion laughs": a kilobyte of aliases can stand for gigabytes.

Path = tuple[str | int, ...]
Lines = dict[Path, int]

_Written = tuple[Any, Path]  # This holds a value, and the path at which it was written first.

_TAG = "tag:yaml.org,2002:"
_MERGE = "<<"
_BEGINS_WITH_ZERO = re.compile(r"[-+]?0[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?")


def _as_bool(text: str) -> bool:
    return text in ("true", "True", "TRUE")


def _as_int(text: str) -> int:
    """Read an integer. Raises ValueError for more digits than Python converts back to a decimal, in quadratic time."""
    if text[:2] not in ("0x", "0o"):
        return int(text)
    value = int(text, 0)
    if value.bit_length() > MAX_INTEGER_BITS:
        raise ValueError("too many digits")
    return value


def _as_float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


# YAML 1.2.2, section 10.3.2, in the order of its table; int comes before float because every int looks like a float.
_CORE: tuple[tuple[str, re.Pattern[str], Callable[[str], Any]], ...] = (
    ("null", re.compile(r"null|Null|NULL|~|"), lambda _: None),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE"), _as_bool),
    ("int", re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"), _as_int),
    (
        "float",
        re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
        _as_float,
    ),
)
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")  # RFC 8259 section 6.


class YamlError(ValueError):
    """The text is not YAML that this reader accepts. ``str(error)`` is ``name:line: reason``; lines count from 1."""

    def __init__(self, name: str, line: int, reason: str) -> None:
        super().__init__(f"{name}:{line}: {reason}")
        self.name = name
        self.line = line
        self.reason = reason


class LeadingZeroError(YamlError):
    """The text has a number such as 010. The reason does not show it."""


def load(
    text: str | bytes,
    name: str = "YAML",
    max_values: float = math.inf,
    number: Callable[[str], Any] | None = None,
    *,
    is_strict: bool = False,
) -> Any:
    """Read one document; an empty one is None. Raises YamlError, for more than ``max_values`` values too.

    ``number``: what to make of a number that is written as JSON writes it. ``is_strict``: as for ``load_with_lines``.
    """
    return load_with_lines(text, name, max_values, number, is_strict=is_strict)[0]


def load_with_lines(
    text: str | bytes,
    name: str,
    max_values: float = math.inf,
    number: Callable[[str], Any] | None = None,
    *,
    is_strict: bool = False,
) -> tuple[Any, Lines]:
    """Read one document and the line of every path in it: ``("streams", "a", 0)`` → 12. Raises YamlError.

    ``is_strict``: a number such as 010, which is 10 here and 8 to YAML 1.1, is refused (LeadingZeroError). So are 08,
    which js-yaml takes for text, and a document that declares itself as YAML 1.1.
    """
    reader = _Reader(name, max_values, number, is_strict=is_strict)
    try:
        return reader.document(text), reader.lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(name, mark.line + 1 if mark else 1, error.problem or str(error)) from None
    except yaml.reader.ReaderError as error:
        raise YamlError(name, 1, f"is not text in UTF-8: {error.reason}") from None
    except UnicodeError as error:
        raise YamlError(name, 1, f"is not text in UTF-8: {error.reason}") from None  # type: ignore[attr-defined]


class _Reader:
    """Builds values from the parser's events, because the parser's own composer recurses in C without a limit."""

    def __init__(self, name: str, max_values: float, number: Callable[[str], Any] | None, *, is_strict: bool) -> None:
        self.lines: Lines = {}
        self._number = number
        self._is_strict = is_strict
        self._max_values = max_values
        self._values = 0
        self._name = name
        self._next: Callable[[], Any]
        self._anchors: dict[str, _Written] = {}
        self._aliased = 0

    def document(self, text: str | bytes) -> Any:
        if isinstance(text, bytes):
            text = text.decode()
        self._next = iter(yaml.parse(text, Loader=yaml.CBaseLoader)).__next__
        self._next()  # StreamStart
        event: Any = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        if self._is_strict and event.version == (1, 1):
            reason = (
                "is declared as YAML 1.1, which reads yes, on and 010 differently; it is read as YAML 1.2: remove the "
                "directive %YAML 1.1, and write true, false and 0o10 for these"
            )
            raise YamlError(self._name, event.start_mark.line + 1, reason)
        value = self._value(self._next(), (), 1)
        self._next()  # DocumentEnd
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._error(event, "holds a second document")
        return value

    def _error(self, event: Any, reason: str) -> YamlError:
        return YamlError(self._name, event.start_mark.line + 1, reason)

    def _value(self, event: Any, path: Path, line: int) -> Any:
        """Read the node that ``event`` begins. ``line`` is that of its key, where it has one."""
        self._count(event, path, line)
        if len(path) > MAX_DEPTH:
            raise self._error(event, f"is nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path, line)
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._mapping(event, path)
        else:
            value = self._sequence(event, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, path
        return value

    def _count(self, event: Any, path: Path, line: int) -> None:
        self.lines[path] = line
        self._values += 1
        if self._values > self._max_values:
            raise self._error(event, f"holds more than {self._max_values:,} values")

    def _sequence(self, start: Any, path: Path) -> list[Any]:
        self._expect_tag(start, "seq")
        items: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items)), event.start_mark.line + 1))
        return items

    def _mapping(self, start: Any, path: Path) -> dict[str, Any]:
        self._expect_tag(start, "map")
        found: dict[str, Any] = {}
        merge: Any = None
        merged: dict[str, _Written] = {}  # Members that only the merge put into ``found``; they are copied at the end.
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error(event, "has a key that is not a plain scalar")
            if _is_merge(event):
                if merge is not None:
                    raise self._error(event, "merges (<<) twice into one map: write `<<: [*one, *other]`")
                merge = event
                merged = self._merged(event, (*path, _MERGE), found)
                found |= merged
                continue
            key = sys.intern(event.value)  # Thousands of streams have the same few keys.
            if key in found and key not in merged:
                raise self._error(event, f"has the key {key!r} twice (first on line {self.lines[(*path, key)]})")
            merged.pop(key, None)
            if event.anchor is not None:
                self._anchors[event.anchor] = key, (*path, key)
            found[key] = self._value(self._next(), (*path, key), line)
        for key, (value, written) in merged.items():
            found[key] = self._copy(merge, value, (*path, key), merge.start_mark.line + 1, written)
        return found

    def _merged(self, key: Any, path: Path, found: dict[str, Any]) -> dict[str, _Written]:
        """Return the members that the value of a merge key adds to ``found``. Each key that is looked at counts, used
        or not: a list of short aliases could otherwise name one large map again and again."""
        if key.anchor is not None:
            self._anchors[key.anchor] = _MERGE, path
        merged: dict[str, _Written] = {}
        for value, written in self._merge_maps(self._next(), path):
            if not isinstance(value, dict):
                raise self._error(key, "merges (<<) something else than a map or a list of maps")
            self._aliased += 1 + len(value)
            self._check_aliased(key)
            for name, inner in value.items():
                if name not in found:
                    merged.setdefault(name, (inner, (*written, name)))
        return merged

    def _merge_maps(self, event: Any, path: Path) -> list[_Written]:
        """Return the values that a merge key names, in their order. Not all of them need be maps."""
        if isinstance(event, yaml.SequenceStartEvent):
            self._expect_tag(event, "seq")
            maps: list[_Written] = []
            while not isinstance(item := self._next(), yaml.SequenceEndEvent):
                maps.append(self._merge_source(item, (*path, len(maps))))
            if event.anchor is not None:
                self._anchors[event.anchor] = [value for value, _ in maps], path
            return maps
        value, written = self._merge_source(event, path)
        if isinstance(value, list):
            return [(item, (*written, index)) for index, item in enumerate(value)]
        return [(value, written)]

    def _merge_source(self, event: Any, path: Path) -> _Written:
        if isinstance(event, yaml.AliasEvent):
            return self._named(event)
        return self._value(event, path, event.start_mark.line + 1), path

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.tag is None:
            wanted = None if event.implicit[0] else "str"
        elif event.tag == "!":
            wanted = "str"
        else:
            wanted = event.tag.removeprefix(_TAG)
        if wanted == "str":
            return text
        for tag, pattern, convert in _CORE:
            if wanted in (None, tag) and pattern.fullmatch(text):
                return self._convert(event, convert, text)
        if wanted is None:
            return text
        if wanted == "float" and re.fullmatch(r"[-+]?[0-9]+", text):
            if self._is_strict:
                self._refuse_leading_zero(event, text)
            return float(text)
        raise self._error(event, f"has {text!r} with the tag {event.tag!r}, which does not fit")

    def _convert(self, event: Any, convert: Callable[[str], Any], text: str) -> Any:
        if self._is_strict:
            self._refuse_leading_zero(event, text)
        if self._number is not None and convert in (_as_int, _as_float) and _JSON_NUMBER.fullmatch(text):
            return self._number(text)
        try:
            return convert(text)
        except ValueError:  # Python limits the digits of an integer.
            raise self._error(event, "has a number with too many digits") from None

    def _refuse_leading_zero(self, event: Any, text: str) -> None:
        if _BEGINS_WITH_ZERO.fullmatch(text):
            reason = "has a number that begins with 0, which other readers of YAML take for octal or for text"
            hint = "leave the 0 out, or write it in quotes if it is text"
            raise LeadingZeroError(self._name, event.start_mark.line + 1, f"{reason}: {hint}")

    def _expect_tag(self, event: Any, tag: str) -> None:
        if event.tag not in (None, "!", _TAG + tag):
            raise self._error(event, f"has the tag {event.tag!r}, which is not of YAML's core schema")

    def _alias(self, event: Any, path: Path, line: int) -> Any:
        return self._copy(event, self._named(event)[0], path, line)

    def _named(self, event: Any) -> _Written:
        if event.anchor not in self._anchors:  # It is unknown, or still open: the alias is inside the value it names.
            raise self._error(event, f"has the alias *{event.anchor} before its anchor is complete")
        return self._anchors[event.anchor]

    def _copy(self, event: Any, value: Any, path: Path, line: int, written: Path | None = None) -> Any:
        """Copy a value to ``path``, with ``line``, or with the lines of the path at which it was written."""
        self._aliased += 1
        self._check_aliased(event, path)
        if written is not None:
            line = self.lines.get(written, line)
        self._count(event, path, line)
        items: Iterable[tuple[Any, Any]]
        if isinstance(value, dict):
            items = value.items()
        elif isinstance(value, list):
            items = enumerate(value)
        else:
            return value
        copies = {
            key: self._copy(event, each, (*path, key), line, None if written is None else (*written, key))
            for key, each in items
        }
        return copies if isinstance(value, dict) else list(copies.values())

    def _check_aliased(self, event: Any, path: Path = ()) -> None:
        if self._aliased > MAX_ALIASED_NODES or len(path) > MAX_DEPTH:
            raise self._error(event, f"has aliases that stand for more than {MAX_ALIASED_NODES} values or are too deep")


def _is_merge(key: Any) -> bool:
    """Whether a key is the merge key. A key in quotes is text, as in js-yaml and PyYAML."""
    return key.value == _MERGE and bool(key.implicit[0] if key.tag is None else key.tag == f"{_TAG}merge")
