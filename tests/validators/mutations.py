"""Events with one thing changed: as bytes, because half of what matters cannot be said as a value.

Rule: seeded by the caller; the same seed gives the same events.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

_MARK = "\x01here"
_ITEMS: list[Any] = ["a", 1, {}]

TOKENS: list[bytes] = [
    *(
        b"null",
        b"true",
        b"false",
        b"0",
        b"1",
        b"-1",
        b"{}",
        b"[]",
        b'""',
        b'"x"',
        b'[""]',
        b'{"x":1}',
        b"[[]]",
        b"[{}]",
    ),
    *(
        b"1.0",
        b"1e0",
        b"-0",
        b"-0.0",
        b"0.5",
        b"1.5",
        b"1e400",
        b"-1e400",
        b"1" * 5_000,
        b"01",
        b"1.",
        b"NaN",
        b"1e-400",
    ),
    *(b"9007199254740991", b"9007199254740992", b"9007199254740993", b"-9007199254740992", b"9007199254740991.0"),
    *(b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616", b"1e18"),
    *(b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83d\\ude00"', b'"\\u0000"', b'"\x00"', b'"\xff"', b'"\xed\xa0\x80"'),
    *(
        b'{"\xff":1}',
        b'{"\\ud800":1}',
        b'{"x":1e400}',
        b'["\xff"]',
        b'{"a":1,"a":"x"}',
        b"[1e400]",
        b'"\\q"',
        b'"a\nb"',
    ),
    *(
        '"é"'.encode(),
        '"٢٠٢٠-01-01T00:00:00Z"'.encode(),
        b'"2020-01-01T00:00:00Z"',
        b'"2020-01-01T00:00:00.123456789Z"',
    ),
    *(b'"2016-12-31T23:59:60Z"', b'"2020-01-01T00:00:60Z"', b'"2020-01-01T00:00:00"', b'"2020-01-01 00:00:00Z"'),
    *(b'"2020-02-30T00:00:00Z"', b'"2019-02-29T00:00:00Z"', b'"2020-02-29T00:00:00Z"', b'"2020-04-31T00:00:00Z"'),
    *(
        b'"2020-01-01t00:00:00z"',
        b'"2020-01-01T24:00:00Z"',
        b'"2020-01-01T00:00:00+0100"',
        b'"2020-01-01T00:00:00+24:00"',
    ),
    *(b'"2020-01-01T00:00:00Z\\n"', b'"2020-01-01T00:00:00.' + b"1" * 200 + b'Z"', b'"2020-01-01T00:00:00.Z"'),
    *(b'"/a/b/1.0.0"', b'"//a/b"', b'"http://a b"', b'"http://[::1]/"', b'"http://[x]"', b'"%zz"', b'"a:b"', b'":a"'),
    *(b'"https://a.b:80/c%20?d#e"', b'"https://a.b:c"', b'"http:///"', b'"/a\\n"', b'"/a#b#c"', b'"/a\\u005cb"'),
    b'"01234567-89ab-cdef-0123-456789abcdef"',
]


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
            yield _replaced(event, path, _spelled(value, rng))


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


def _spelled(value: Any, rng: random.Random) -> bytes:
    """The same value, written otherwise, or nearly the same."""
    if isinstance(value, str):
        escaped = "".join(f"\\u{ord(each):04x}" if ord(each) < 0x10000 else each for each in value)
        return rng.choice(
            [f'"{escaped}"', json.dumps(value + "é"), json.dumps(value + "\n"), json.dumps(value[:-1])]
        ).encode()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return rng.choice([f"{value}.0", f"{value}e0", f"-{value}", f"{value}0", json.dumps(str(value))]).encode()
    return _dump(value)


def _crossing(schema: Any) -> list[bytes]:
    """Tokens at the bounds of a schema and one beyond."""
    if not isinstance(schema, dict):
        return []
    found: list[Any] = []
    for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"):
        if isinstance(bound := schema.get(word), int):
            found += [bound - 1, bound, bound + 1, float(bound), bound + 0.5]
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
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _places(schema.get("items"), each, (*path, index))


def _replaced(event: Any, path: tuple[Any, ...], token: bytes) -> bytes:
    return _dump(_marked(event, path)).replace(json.dumps(_MARK).encode(), token)


def _marked(event: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        return _MARK
    copy = event.copy()
    copy[path[0]] = _marked(event[path[0]], path[1:])
    return copy


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
