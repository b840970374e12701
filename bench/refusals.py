"""Measure the cost of refusing an event, compared with accepting one: examples with one change, and hostile events.

Place: `python -m bench refusals`.
Rules:
1. CPU time of ``Validator.check`` in this process; the best of several rounds. A refusal is all of it: the way that
   says "ask the reference", the reference, and the words.
2. A hostile event is compared with an accepted one of the same schema and about the same length, because an event must
   be read before it can be refused.
Not here: whole requests (quick).
"""

from __future__ import annotations

import copy
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench.validators import CORPUS, versions
from validators import Registry, Validator

LIMIT = 10.0
ROUNDS = 3
CHANGES: tuple[Any, ...] = (..., None, 5, -1.5, "x" * 5_000, True, [], {}, [1, "2", None])  # ...: gone
SAMPLE = 40  # Changed events of one schema.

HOSTILE_SCHEMA = {
    "type": "object",
    "properties": {
        "numbers": {"type": "array", "items": {"type": "integer"}},
        "bounded": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 999}},
        "objects": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}},
        "closed": {"type": "object", "additionalProperties": False, "properties": {"a": {"type": "string"}}},
        "text": {"type": "string", "maxLength": 10_000_000, "pattern": "^[a-z]+$"},
        "search": {"type": "string", "maxLength": 10_000_000, "pattern": "\\s+$|x+y"},
        "short": {"type": "string", "maxLength": 100, "pattern": "\\s+$"},
        "time": {"type": "string", "maxLength": 10_000_000, "format": "date-time"},
        "uri": {"type": "string", "maxLength": 10_000_000, "format": "uri"},
        "choice": {"enum": ["a", "b", None, 5]},
        "several": {"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "array", "maxItems": 2}]},
        "one": {"oneOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "array", "maxItems": 2}]},
        "unlike": {"not": {"type": "array", "items": {"type": "integer"}}},
        "some": {"contains": {"type": "string", "maxLength": 3}},
        "unique": {"type": "array", "maxItems": 10_000_000, "uniqueItems": True},
        "tree": {"$ref": "#/definitions/tree"},
        "names": {"propertyNames": {"maxLength": 10}},
    },
    "definitions": {"tree": {"type": "array", "items": {"$ref": "#/definitions/tree"}}},
}
N = 100_000


def _hostile() -> Iterator[tuple[str, Any, Any]]:
    """Name, an event to refuse, one like it to accept."""
    yield "wrong items", {"numbers": ["1"] * N}, {"numbers": [123] * N}
    yield "one wrong item", {"numbers": [123] * N + ["1"]}, {"numbers": [123] * N}
    yield "one item out of bounds", {"bounded": [123] * N + [-1]}, {"bounded": [123] * N}
    yield "one of 300 out of bounds", {"bounded": [123] * 300 + [-1]}, {"bounded": [123] * 300}
    yield "one wrong object", {"objects": [{"a": 123}] * N + [1]}, {"objects": [{"a": 123}] * N}
    yield "wrong objects", {"objects": [{"a": "1"}] * N}, {"objects": [{"a": 123}] * N}
    yield "wrong members", {"map": {f"n{i}": "1" for i in range(N)}}, {"map": {f"n{i}": 123 for i in range(N)}}
    yield "too many members", {"closed": {f"n{i}": 1 for i in range(N)}}, {"map": {f"n{i}": 1 for i in range(N)}}
    yield "long names", {"closed": {f"{'n' * 10_000}{i}": 1 for i in range(100)}}, {"text": "n" * 1_000_000}
    yield "a long text", {"text": "a" * 1_000_000 + "!"}, {"text": "a" * 1_000_000}
    yield "blanks", {"search": " " * 8_000 + "!"}, {"text": "a" * 8_000}
    yield "x", {"search": "x" * 1_000_000 + "!"}, {"text": "a" * 1_000_000}
    yield "a text that is too long", {"short": " " * 1_000_000 + "!"}, {"text": "a" * 1_000_000}
    yield "a long time", {"time": "2026-01-01T00:00:00." + "0" * 1_000_000}, {"text": "a" * 1_000_000}
    yield "a long URI", {"uri": "http://" + "a/" * 500_000 + "|"}, {"text": "a" * 1_000_000}
    yield "a long choice", {"choice": "a" * 1_000_000}, {"text": "a" * 1_000_000}
    yield "no branch of anyOf", {"several": [1] * N + ["1"]}, {"several": [1] * N}
    yield "no branch of oneOf", {"one": [1] * N + ["1"]}, {"one": [1] * N}
    yield "what is not wanted", {"unlike": [1] * N}, {"numbers": [1] * N}
    yield "what is nowhere", {"some": [1] * N}, {"some": [1] * N + ["a"]}
    yield "unique numbers", {"unique": [*range(N), 0]}, {"unique": list(range(N))}
    yield "unique objects", {"unique": [*({"a": i} for i in range(N)), {"a": 0}]}, {"unique": list(range(N * 2))}
    yield "deep", {"tree": _nested(300, 1)}, {"tree": _nested(300, [])}
    yield "wide and deep", {"tree": [_nested(300, 1)] * 300}, {"tree": [_nested(300, [])] * 300}
    yield "names that are too long", {"names": {f"{'n' * 100}{i}": 1 for i in range(10_000)}}, {"text": "n" * 1_000_000}


def _nested(depth: int, innermost: Any) -> Any:
    for _ in range(depth):
        innermost = [innermost]
    return innermost


def _mutations(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The event with one field gone, null, of other types, or longer, at every depth."""
    for path in _paths(event, ()):
        for value in CHANGES:
            changed = copy.deepcopy(event)
            parent: Any = changed
            for step in path[:-1]:
                parent = parent[step]
            if value is ...:
                del parent[path[-1]]
            else:
                parent[path[-1]] = value
            yield changed


def _paths(value: Any, above: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    steps: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for step in steps:
        yield (*above, step)
        yield from _paths(value[step], (*above, step))


def _time_us(check: Callable[[bytes], Any], raw: bytes, calls: int) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        start = time.process_time_ns()
        for _ in range(calls):
            check(raw)
        best = min(best, (time.process_time_ns() - start) / calls / 1_000)
    return best


def _corpus() -> list[tuple[float, float, str]]:
    """Ratio, µs of the refusal, and what was refused: the dearest refusal of each schema's first example."""
    registry = Registry([str(CORPUS)])
    rows = []
    for uri in versions(CORPUS):
        validator = registry.validator(uri)
        for example in validator.schema.get("examples", [])[:1]:
            accepted_us = _time_us(validator.check, msgspec.json.encode(example), 50)
            refused = list(_refused(validator, example))
            found = [
                (_time_us(validator.check, raw, 1), raw)
                for raw in random.Random(uri).sample(refused, min(SAMPLE, len(refused)))
            ]
            if found:
                dearest_us, raw = max(found)
                dearest_us = _time_us(validator.check, raw, 20)
                rows.append((dearest_us / accepted_us, dearest_us, uri))
    return sorted(rows)


def _refused(validator: Validator, example: dict[str, Any]) -> Iterator[bytes]:
    for event in _mutations(example):
        raw = json.dumps(event, separators=(",", ":")).encode()
        if validator.check(raw) is not None:
            yield raw


def run(arguments: list[str]) -> int:
    """Print both tables, or with ``hostile`` the second alone. About 60 s."""
    worst = 0.0
    if arguments == ["hostile"]:
        pass
    elif CORPUS.is_dir():
        rows = _corpus()
        ratios = [row[0] for row in rows]
        worst = rows[-1][0]
        print(f"corpus, the dearest change of one field: {len(rows)} schemas")
        print(f"refused / accepted: median {statistics.median(ratios):.1f}, max {worst:.1f} ({rows[-1][2]})")
        print(
            f"refused µs: median {statistics.median(row[1] for row in rows):.0f}, max {max(row[1] for row in rows):.0f}"
        )
    else:
        print(f"refusals: there is no {CORPUS}; hostile events alone", file=sys.stderr)
    print(f"{'hostile':28} {'accepted ms':>12} {'refused ms':>12} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "hostile").mkdir()
        Path(directory, "hostile/1.0.0.yaml").write_text(json.dumps(HOSTILE_SCHEMA))
        validator = Registry([directory], allow_insecure=True).validator("/hostile/1.0.0")
        for name, refused, accepted in _hostile():
            pair = [json.dumps(each, separators=(",", ":")).encode() for each in (refused, accepted)]
            verdicts = [validator.check(raw) is None for raw in pair]
            assert verdicts == [False, True], (name, verdicts)
            refused_us, accepted_us = (_time_us(validator.check, raw, 1) for raw in pair)
            worst = max(worst, refused_us / accepted_us)
            print(f"{name:28} {accepted_us / 1e3:12.3f} {refused_us / 1e3:12.3f} {refused_us / accepted_us:6.1f}")
    print(f"worst ratio: {worst:.1f}")
    return 0 if worst <= LIMIT else 1
