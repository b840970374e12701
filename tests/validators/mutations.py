"""Events with one thing changed: as bytes, because half of what matters cannot be said as a value.

Rule: seeded by the caller; the same seed gives the same events.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from typing import Any

_MARK = "\x01here"
_ITEMS: list[Any] = ["a", 1, {}]

TYPES = [b"null", b"true", b"false", b"0", b"1", b"-1", b"1.5", b'""', b'"x"', b"[]", b"{}"]
NESTED = [b'[""]', b'{"x":1}', b"[[]]", b"[{}]", b"[1e400]", b'{"x":1e400}', b'["\xff"]']
NUMBERS = [
    *(b"1.0", b"1e0", b"1E+0", b"10e-1", b"-0", b"-0.0", b"0.5", b"1e400", b"-1e400", b"1e-400", b"1e18"),
    *(b"9007199254740991", b"9007199254740992", b"9007199254740993", b"-9007199254740992", b"9007199254740991.0"),
    *(b"9223372036854775807", b"9223372036854775808", b"-9223372036854775808", b"-9223372036854775809"),
    *(b"18446744073709551615", b"18446744073709551616", b"18446744073709551616.0", b"1" * 400, b"1" * 5_000),
    *(b"01", b"1.", b".5", b"+1", b"1e", b"0x1", b"NaN", b"Infinity", b"-"),  # No numbers at all.
]
MOMENTS = [
    *("2020-01-01T00:00:00Z", "2020-01-01T00:00:00.123456789Z", "2020-01-01T00:00:00.Z", "2020-01-01T00:00:00"),
    *("2016-12-31T23:59:60Z", "2020-01-01T00:00:60Z", "2016-12-31T15:59:60-08:00", "2016-12-31T23:59:61Z"),
    *("2020-01-01 00:00:00Z", "2020-01-01t00:00:00z", "2020-01-01T00:00:00z", "2020-01-01T24:00:00Z"),
    *("2020-02-30T00:00:00Z", "2019-02-29T00:00:00Z", "2020-02-29T00:00:00Z", "1900-02-29T00:00:00Z"),
    *("2020-04-31T00:00:00Z", "2020-00-01T00:00:00Z", "2020-13-01T00:00:00Z", "0000-01-01T00:00:00Z"),
    *("2020-01-01T00:00:00+0100", "2020-01-01T00:00:00+01", "2020-01-01T00:00:00+24:00", "2020-01-01T00:00:00-23:59"),
    *("2020-01-01T00:00:00Z\n", " 2020-01-01T00:00:00Z", "2020-01-01T00:00Z", "20200101T000000Z", "2020-1-1T0:0:0Z"),
    *("2020-01-01T00:00:00." + "1" * 200 + "Z", "٢٠٢٠-01-01T00:00:00Z", "2020-01-01", "2020-02-30", "00:00:00Z"),
]
PLACES = [
    *(
        "/a/b/1.0.0",
        "//a/b",
        "http://a b",
        "http://[::1]/",
        "http://[x]",
        "%zz",
        "a:b",
        ":a",
        "https://a.b:80/c%20?d#e",
    ),
    *("https://a.b:c", "http:///", "/a\n", "/a#b#c", "/a\\b", "http://é/", "http://a/é", "a@b", "1.2.3.4", "::1"),
    "01234567-89ab-cdef-0123-456789abcdef",
]
TEXTS = [
    *(b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83d\\ude00"', b'"a\\uD83Dx"', b'"\\\\ud800"'),
    *(b'"\\u0000"', b'"\x00"', b'"a\x00b"', b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"'),
    *(b'"\\q"', b'"\\u12"', b'"\\x41"', b'"\\/"', b'"a\nb"', b'"a\tb"', b'"', b"'x'"),
]
NAMES = [
    b'{"\xff":1}',
    b'{"\\ud800":1}',
    b'{"\\u0000":1}',
    b'{"a":1,"a":"x"}',
    b'{"a":1,"\\u0061":2}',
    b'{"":1}',
    b"{x:1}",
]
TOKENS: list[bytes] = [
    *TYPES,
    *NESTED,
    *NUMBERS,
    *TEXTS,
    *NAMES,
    *(json.dumps(each).encode() for each in MOMENTS + PLACES),
]
TOKENS.append('"é"'.encode())


def singles(schema: dict[str, Any], event: Any) -> Iterator[bytes]:
    """Yield the event with every single place of it changed in every way that is known here."""
    for path, inner, value in _places(schema, event, ()):
        changed: list[bytes] = [*TYPES, *TEXTS, *_crossing(inner), *_spellings(value)]
        if isinstance(value, dict):
            changed += [*NAMES, *_objects(value, _required(inner))]
        elif isinstance(value, list):
            changed += [*NESTED, *(_dump(each) for each in (value * 2, value * 300, value[:-1], [*value, None]))]
        if _is_number(inner, value):
            changed += NUMBERS
        if isinstance(value, str | None):
            changed += [json.dumps(each, ensure_ascii=False).encode() for each in (*MOMENTS, *PLACES)]
        before, after = _around(event, path)
        yield from (before + token + after for token in dict.fromkeys(changed))


def _is_number(schema: Any, value: Any) -> bool:
    wanted = schema.get("type", []) if isinstance(schema, dict) else []
    kinds = [wanted] if isinstance(wanted, str) else wanted
    return isinstance(value, int | float) or not {"integer", "number"}.isdisjoint(kinds)


def _required(schema: Any) -> list[str]:
    found = schema.get("required", []) if isinstance(schema, dict) else []
    return found if isinstance(found, list) else []


def _objects(value: dict[str, Any], required: list[str]) -> Iterator[bytes]:
    """An object with one member missing, one extra, one twice, one whose name is written otherwise."""
    text = _dump(value)
    comma = b"," if value else b""
    for name in value:
        yield _dump({other: each for other, each in value.items() if other != name})
        member, again = json.dumps(name).encode() + b":{}", json.dumps(name).encode() + b":" + _dump(value[name])
        yield b"{" + member + b"," + text[1:]  # Of equal names the last wins: here the right one …
        yield text[:-1] + b"," + member + b"}"  # … and here the wrong one.
        yield text[:-1] + b"," + again + b"}"
        if name:
            yield text.replace(
                json.dumps(name).encode(), b'"\\u%04x' % ord(name[0]) + json.dumps(name[1:]).encode()[1:], 1
            )
    for name in (*(f"{each} " for each in required), "undeclared", "é", "\x00", ""):
        for token in (b"1", b'"x"', b"1e400", b'"\\ud800"', b'"\xff"'):
            yield text[:-1] + comma + json.dumps(name, ensure_ascii=False).encode() + b":" + token + b"}"


def mutations(schema: dict[str, Any], event: Any, rng: random.Random, count: int) -> Iterator[bytes]:
    """Yield ``count`` mutations of an event, of places and kinds at random."""
    places = list(_places(schema, event, ()))
    for _ in range(count):
        path, inner, value = rng.choice(places)
        kind = rng.random()
        if kind < 0.6:
            yield _replaced(event, path, rng.choice(_crossing(inner) or TOKENS) if kind < 0.3 else rng.choice(TOKENS))
        elif isinstance(value, dict):
            yield _object_changed(event, path, value, rng)
        elif isinstance(value, list) and value:
            yield _replaced(event, path, _dump(value * rng.choice([0, 2, 300])))
        else:
            yield _replaced(event, path, rng.choice(_spellings(value)))


def _object_changed(event: Any, path: tuple[Any, ...], value: dict[str, Any], rng: random.Random) -> bytes:
    name = rng.choice([*value, "undeclared"])
    token = rng.choice(TOKENS)
    text = _dump(value)
    member = json.dumps(name).encode() + b":" + token
    kind = rng.randrange(5)
    if kind == 0:
        return _replaced(event, path, _dump({other: each for other, each in value.items() if other != name}))
    if kind == 1:  # First, so that an equal name after it wins.
        return _replaced(event, path, b"{" + member + (b"," if value else b"") + text[1:])
    if kind == 2:  # Last, so that it wins.
        return _replaced(event, path, text[:-1] + (b"," if value else b"") + member + b"}")
    if kind == 3:
        return _replaced(event, path, text[:-1] + (b"," if value else b"") + b'"und\xffeclared":1}')
    return _replaced(event, path, text.replace(b'"', b'"\\u0061', 1))


def _spellings(value: Any) -> list[bytes]:
    """The same value, written otherwise, or nearly the same."""
    if isinstance(value, str):
        escaped = "".join(f"\\u{ord(each):04x}" if ord(each) < 0x10000 else each for each in value)
        near = (value + "é", value + "\n", value[:-1], value + "\x00", value.upper(), value * 50)
        return [f'"{escaped}"'.encode(), *(_dump(each) for each in near)]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return [f"{value}{more}".encode() for more in (".0", "e0", "E+0", "0", ".5")] + [
            b"-%a" % value,
            b'"%a"' % value,
        ]
    return [_dump(value)]


def _crossing(schema: Any) -> list[bytes]:
    """Tokens at the bounds of a schema and one beyond."""
    if not isinstance(schema, dict):
        return []
    found: list[Any] = []
    for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"):
        if isinstance(bound := schema.get(word), int | float):
            found += [bound - 1, bound, bound + 1, float(bound), bound + 0.5, bound * 3, bound * 1901, bound / 3]
            found += [math.nextafter(bound, math.inf), math.nextafter(bound, -math.inf)]
    for word in ("minLength", "maxLength"):
        if word in schema:
            found += [each * max(0, schema[word] + more) for each in ("a", "é", "😀", "/", "0") for more in (-1, 0, 1)]
    for word in ("minItems", "maxItems"):
        if word in schema:
            found += [[each] * max(0, schema[word] + more) for each in _ITEMS for more in (-1, 0, 1)]
    found += [{f"k{i}": "v" for i in range(schema.get("maxProperties", -1) + more)} for more in (0, 1)]
    found += schema.get("enum", [])
    return [_dump(each) for each in found]


def _places(schema: Any, value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    yield path, schema, value
    schema = schema if isinstance(schema, dict) else {}
    if isinstance(value, dict):
        for name, each in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            yield from _places(inner, each, (*path, name))
        for name in sorted(schema.get("properties", {}).keys() - value.keys()):
            yield (*path, name), schema["properties"][name], None  # Declared and absent: what is put there counts too.
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _places(schema.get("items"), each, (*path, index))


def _replaced(event: Any, path: tuple[Any, ...], token: bytes) -> bytes:
    before, after = _around(event, path)
    return before + token + after


def _around(event: Any, path: tuple[Any, ...]) -> tuple[bytes, bytes]:
    """The text before and after one place."""
    before, _, after = _dump(_marked(event, path)).partition(json.dumps(_MARK).encode())
    return before, after


def _marked(event: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        return _MARK
    copy = event.copy()
    copy[path[0]] = _marked(event[path[0]], path[1:]) if len(path) > 1 else _MARK
    return copy


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
