"""Think of values that one schema may take and another refuse.

Place: witness → HERE.
Rules: the values come from the numbers, lengths, texts and names that the two schemas mention, and from just beyond
them. Each list is bounded, and the same schemas give the same list. No value is promised to be valid.
Not here: which of them prove anything (witness).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from server.schemas.judges import Bundle, UnusableError
from server.schemas_tool.making.merge import MergeError, merged
from server.schemas_tool.making.sample import sample_of, text_of_pattern
from server.schemas_tool.proof.views import Part, item_view, names_in, parts_of, property_view, types_of

MOST: Final = 400
_MOST_BELOW: Final = 24
_MOST_LENGTH: Final = 20_000
_MOST_ITEMS: Final = 300
_STRANGE_NAME: Final = "undeclared"
_TEXTS: Final = (
    "dolor",
    "",
    "a",
    "0",
    "A b",
    "é",
    "-",
    "2021-01-01T00:00:00.0Z",
    "2021-01-01",
    "http://example.org",
    "not a uri ^",
    "33333333-3333-3333-3333-333333333333",
    "192.0.2.1",
    "::1",
    "user@example.org",
)
_NUMBERS: Final = (0, 1, -1, 2, 0.5, 1.5, 7, 1e15, -(2**53), 2**53)


def candidates(
    old: Bundle, parts: Sequence[Part], new: Bundle, wanted: Sequence[Part], seeds: Sequence[Any] = ()
) -> Iterator[Any]:
    """Yield values for the place where ``parts`` hold before and ``wanted`` afterwards; ``seeds`` stand there in
    examples."""
    yield from itertools.chain.from_iterable(_without_one(seed) for seed in seeds)
    yield from itertools.islice(_candidates(old, parts, new, wanted, 0), MOST)


def _without_one(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, dict):
        for name in value:
            yield {key: each for key, each in value.items() if key != name}
    if isinstance(value, list):
        yield value[1:]


def _below(old: Bundle, parts: Sequence[Part], new: Bundle, wanted: Sequence[Part], depth: int) -> list[Any]:
    return list(itertools.islice(_candidates(old, parts, new, wanted, depth), _MOST_BELOW))


def _candidates(old: Bundle, parts: Sequence[Part], new: Bundle, wanted: Sequence[Part], depth: int) -> Iterator[Any]:
    mentioned = [part.schema for part in (*parts, *wanted) if isinstance(part.schema, dict)]
    for schema in mentioned:
        yield from schema.get("enum", ())
        if "const" in schema:
            yield schema["const"]
    if depth < 4:
        yield from _branches(old, parts, new, wanted, depth)
    types = types_of(parts)
    makers: dict[str, Callable[[], Iterator[Any]]] = {
        "string": lambda: _texts(mentioned),
        "integer": lambda: (value for value in _numbers(mentioned) if float(value).is_integer()),
        "fraction": lambda: (value for value in _numbers(mentioned) if not float(value).is_integer()),
        "boolean": lambda: iter((False, True)),
        "null": lambda: iter((None,)),
        "array": lambda: _arrays(old, parts, new, wanted, depth),
        "object": lambda: _objects(old, parts, new, wanted, depth),
    }
    yield from _turns([makers[kind]() for kind in makers if kind in types])


def _turns(sources: list[Iterator[Any]]) -> Iterator[Any]:
    """Yield from all sources in turn, so that a bound cuts none of them off."""
    while sources:
        for source in tuple(sources):
            try:
                yield next(source)
            except StopIteration:
                sources.remove(source)


def _branches(old: Bundle, parts: Sequence[Part], new: Bundle, wanted: Sequence[Part], depth: int) -> Iterator[Any]:
    """Yield values of each branch of the unions and conditions of both sides."""
    found: list[Iterator[Any]] = []
    for bundle, side in ((old, parts), (new, wanted)):
        for part in side:
            if not isinstance(part.schema, dict):
                continue
            inner = [each for word in ("anyOf", "oneOf") for each in part.schema.get(word, ())]
            inner += [part.schema[word] for word in ("not", "if", "then", "else") if word in part.schema]
            for schema in inner:
                rest = [
                    Part({k: v for k, v in p.schema.items() if k not in ("anyOf", "oneOf")}, ())
                    for p in side
                    if isinstance(p.schema, dict)
                ]
                branch = [*parts_of(bundle, schema, ()), *rest]
                found.append(iter(_below(bundle, branch, new, wanted if bundle is old else branch, depth + 1)))
    yield from _turns(found)


def _numbers(schemas: Iterable[dict[str, Any]]) -> Iterator[Any]:
    words = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
    bounds = [schema[word] for schema in schemas for word in words if word in schema]
    for bound in dict.fromkeys(value for value in bounds if not isinstance(value, bool)):
        for step in (0, 1, -1, 0.5, -0.5):
            yield bound + step
        yield from (bound * 2, bound * 3, -bound)
    yield from _NUMBERS


def _lengths(schemas: Iterable[dict[str, Any]], *words: str, most: int) -> list[int]:
    bounds = {schema[word] for schema in schemas for word in words if word in schema}
    near = {bound + step for bound in bounds for step in (-1, 0, 1)} | {0, 1, 2}
    return sorted(length for length in near if 0 <= length <= most)


def _texts(schemas: Sequence[dict[str, Any]]) -> Iterator[str]:
    patterns = [schema["pattern"] for schema in schemas if isinstance(schema.get("pattern"), str)]
    known = [text for text in map(text_of_pattern, patterns) if text is not None]
    samples = [sample_of({**schema, "type": "string"}) for schema in schemas]
    seeds = [text for text in (*known, *samples) if isinstance(text, str)]
    yield from dict.fromkeys(seeds)
    for length in _lengths(schemas, "minLength", "maxLength", most=_MOST_LENGTH):
        for seed in dict.fromkeys([*[seed for seed in seeds if seed][:3], "a", "5"]):
            yield (seed * (length // len(seed) + 1))[:length]
    yield from _TEXTS
    for seed in seeds:
        yield from (seed + "x", seed + " ", "x" + seed, seed[1:], seed.upper(), seed.replace(seed[:1], "-", 1))


def _arrays(old: Bundle, parts: Sequence[Part], new: Bundle, wanted: Sequence[Part], depth: int) -> Iterator[Any]:
    yield []
    if depth > 4:
        return
    schemas = [part.schema for part in (*parts, *wanted) if isinstance(part.schema, dict)]
    items = _below(old, item_view(old, parts, None), new, item_view(new, wanted, None), depth + 1)
    firsts = _below(old, item_view(old, parts, 0), new, item_view(new, wanted, 0), depth + 1)
    usable = [item for item in items if _fits(old, item_view(old, parts, None), item)] or items
    first = [item for item in firsts if _fits(old, item_view(old, parts, 0), item)] or firsts
    for length in _lengths(schemas, "minItems", "maxItems", most=_MOST_ITEMS):
        for item in usable[:4]:
            yield [first[0] if at == 0 and first else item for at in range(length)]
            yield [item] * length
        if usable:
            yield [usable[at % len(usable)] for at in range(length)]
    least = max([schema.get("minItems", 1) for schema in schemas], default=1)
    for item in (*usable, *first):
        yield [item]
        if 1 < least <= _MOST_ITEMS:
            yield [item, *[usable[at % len(usable)] for at in range(least - 1)]] if usable else [item] * least
    for at in range(max((len(s["items"]) for s in schemas if isinstance(s.get("items"), list)), default=0) + 1):
        before = [example_of(old, item_view(old, parts, index), depth + 1) for index in range(at)]
        for item in _below(old, item_view(old, parts, at), new, item_view(new, wanted, at), depth + 2):
            yield [*before, item]


def _fits(bundle: Bundle, parts: Sequence[Part], value: Any) -> bool:
    return all(bundle.accepts(part.schema, value) for part in parts)


def _objects(old: Bundle, parts: Sequence[Part], new: Bundle, wanted: Sequence[Part], depth: int) -> Iterator[Any]:
    full = example_of(old, parts, depth)
    if not isinstance(full, dict):
        full = {}
    needed = {name for part in parts if isinstance(part.schema, dict) for name in part.schema.get("required", ())}
    least = {name: value for name, value in full.items() if name in needed}
    yield from (full, least, {})
    for name in full:
        yield {key: value for key, value in full.items() if key != name}
        if name not in least:
            yield {**least, name: full[name]}
    if depth > 4:
        return
    names = dict.fromkeys(
        [*names_in([*parts, *wanted]), *_further_names([*parts, *wanted]), _STRANGE_NAME, "Wrong-Name"]
    )
    sources = [_with_property(old, parts, new, wanted, name, (full, least), depth) for name in names]
    yield from _turns(sources)
    for count in _lengths(
        [p.schema for p in (*parts, *wanted) if isinstance(p.schema, dict)], "minProperties", "maxProperties", most=100
    ):
        extra = {f"p{at}": example_of(old, property_view(old, parts, f"p{at}"), depth + 1) for at in range(count)}
        yield dict(itertools.islice({**least, **extra}.items(), count))
        yield dict(itertools.islice({**least, **full, **extra}.items(), count))


def _further_names(parts: Sequence[Part]) -> Iterator[str]:
    for part in parts:
        if isinstance(part.schema, dict):
            yield from part.schema.get("dependencies", ())
            for text in part.schema.get("patternProperties", ()):
                if (name := text_of_pattern(text)) is not None:
                    yield name
            names = part.schema.get("propertyNames")
            if isinstance(names, dict):
                yield from itertools.islice(_texts([names]), 8)


def _with_property(
    old: Bundle,
    parts: Sequence[Part],
    new: Bundle,
    wanted: Sequence[Part],
    name: str,
    bases: Sequence[dict[str, Any]],
    depth: int,
) -> Iterator[dict[str, Any]]:
    before, after = property_view(old, parts, name), property_view(new, wanted, name)
    for value in _below(old, before, new, after, depth + 1):
        if _fits(old, before, value):
            for base in bases:
                yield {**base, name: value}


def example_of(bundle: Bundle, parts: Sequence[Part], depth: int = 0) -> Any:
    """Return a value that the parts are likely to take."""
    try:
        schema = merged({"allOf": [part.schema for part in parts if isinstance(part.schema, dict)]})
    except (MergeError, UnusableError):
        schema = parts[0].schema
    return sample_of(_inlined(bundle, schema, depth))


def _inlined(bundle: Bundle, schema: Any, depth: int) -> Any:
    """Put the targets of references in their places, as deep as an example needs them."""
    if not isinstance(schema, dict):
        return schema
    if depth > 6:
        return {"type": "null"} if "$ref" in schema else {k: v for k, v in schema.items() if k != "properties"}
    if "$ref" in schema:
        return _inlined(bundle, bundle.target(schema["$ref"]), depth + 1)
    found = dict(schema)
    needed = set(schema.get("required", ()))
    if isinstance(schema.get("properties"), dict):
        found["properties"] = {
            name: _inlined(bundle, each, depth + 1)
            for name, each in schema["properties"].items()
            if depth < 3 or name in needed
        }
    for word in ("items", "additionalProperties"):
        if isinstance(schema.get(word), dict):
            found[word] = _inlined(bundle, schema[word], depth + 1)
    for word in ("allOf", "anyOf", "oneOf"):
        if isinstance(schema.get(word), list):
            found[word] = [_inlined(bundle, each, depth + 1) for each in schema[word]]
    try:
        return merged(found)
    except MergeError:
        return found
