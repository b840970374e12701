"""Prove that a constraint of one keyword follows from the constraints that held before.

Place: contain → HERE.
Rules: True is a proof. False means that no proof was found, which is not yet a contradiction. A constraint on a type
that no value has holds. A keyword of draft-07 that is in none of the tables here and in contain is unknown to them.
Not here: keywords that hold schemas (contain), the search for a witness (witness).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any, Final

from server.schemas.judges import ASSERTED_FORMATS, UnusableError, regex_matcher
from server.schemas_tool.proof.views import ALL, NUMERIC, Part, atoms_of, names_in, required_in, types_of

Proof = Callable[[Sequence[Part], Any], bool]
_OBJECT: Final = frozenset({"object"})
_ARRAY: Final = frozenset({"array"})
_STRING: Final = frozenset({"string"})


def _each(parts: Sequence[Part], keyword: str) -> Iterator[Any]:
    for part in parts:
        if isinstance(part.schema, dict) and keyword in part.schema:
            yield part.schema[keyword]


def _type(old: Sequence[Part], wanted: Any) -> bool:
    return types_of(old) <= atoms_of(wanted)


def _low(old: Sequence[Part]) -> tuple[Any, bool] | None:
    """Return the greatest lower bound, and whether the value itself is out."""
    bounds = [(value, False) for value in _each(old, "minimum")]
    bounds += [(value, True) for value in _each(old, "exclusiveMinimum") if not isinstance(value, bool)]
    return max(bounds, default=None)


def _high(old: Sequence[Part]) -> tuple[Any, bool] | None:
    bounds = [(value, True) for value in _each(old, "maximum")]
    bounds += [(value, False) for value in _each(old, "exclusiveMaximum") if not isinstance(value, bool)]
    found = min(bounds, default=None)
    return None if found is None else (found[0], not found[1])


def _has_draft_4_bound(old: Sequence[Part]) -> bool:
    words = ("exclusiveMinimum", "exclusiveMaximum")
    return any(isinstance(value, bool) for word in words for value in _each(old, word))


def _minimum(old: Sequence[Part], wanted: Any) -> bool:
    low = _low(old)
    if low is None or _has_draft_4_bound(old):
        return False
    step = 1 if low[1] and "fraction" not in types_of(old) and float(low[0]).is_integer() else 0
    return bool(low[0] + step >= wanted)


def _maximum(old: Sequence[Part], wanted: Any) -> bool:
    high = _high(old)
    if high is None or _has_draft_4_bound(old):
        return False
    step = 1 if high[1] and "fraction" not in types_of(old) and float(high[0]).is_integer() else 0
    return bool(high[0] - step <= wanted)


def _above(old: Sequence[Part], wanted: Any) -> bool:
    low = _low(old)
    return low is not None and not isinstance(wanted, bool) and (low[0] > wanted or (low[0] == wanted and low[1]))


def _under(old: Sequence[Part], wanted: Any) -> bool:
    high = _high(old)
    return high is not None and not isinstance(wanted, bool) and (high[0] < wanted or (high[0] == wanted and high[1]))


def _multiple(old: Sequence[Part], wanted: Any) -> bool:
    step = Fraction(str(wanted))
    # Judges divide binary fractions: 3 is no multiple of 0.1 to them, so that a proof holds for exact steps alone.
    is_exact = step.denominator & (step.denominator - 1) == 0
    is_whole = "fraction" not in types_of(old) and Fraction(1) % step == 0 and is_exact
    is_divided = step.denominator == 1 and any(Fraction(str(each)) % step == 0 for each in _each(old, "multipleOf"))
    return is_whole or is_divided or wanted in _each(old, "multipleOf")


def _at_least(keyword: str, known: Callable[[Sequence[Part]], int] = lambda _: 0) -> Proof:
    return lambda old, wanted: max([known(old), *_each(old, keyword)]) >= wanted


def _at_most(keyword: str) -> Proof:
    return lambda old, wanted: any(value <= wanted for value in _each(old, keyword))


def _most_properties(old: Sequence[Part], wanted: Any) -> bool:
    closed = [
        part for part in old if isinstance(part.schema, dict) and part.schema.get("additionalProperties") is False
    ]
    counts = [len(part.schema.get("properties", {})) for part in closed if not part.schema.get("patternProperties")]
    return any(count <= wanted for count in (*counts, *_each(old, "maxProperties")))


def _pattern(old: Sequence[Part], wanted: Any) -> bool:
    return wanted in _each(old, "pattern")


def _format(old: Sequence[Part], wanted: Any) -> bool:
    return wanted not in ASSERTED_FORMATS or wanted in _each(old, "format")


def _required(old: Sequence[Part], wanted: Any) -> bool:
    return set(wanted) <= required_in(old)


def _unique(old: Sequence[Part], wanted: Any) -> bool:
    return not wanted or True in _each(old, "uniqueItems") or any(value <= 1 for value in _each(old, "maxItems"))


def _property_names(old: Sequence[Part], wanted: Any) -> bool:
    if wanted in _each(old, "propertyNames") or wanted is True:
        return True
    is_closed = any(
        isinstance(part.schema, dict)
        and part.schema.get("additionalProperties") is False
        and not part.schema.get("patternProperties")
        for part in old
    )
    simple = {"pattern", "maxLength", "minLength", "type", "description"}
    if not is_closed or not isinstance(wanted, dict) or not wanted.keys() <= simple:
        return False
    return all(_is_name(name, wanted) for name in names_in(old))


def _is_name(name: str, wanted: dict[str, Any]) -> bool:
    try:
        is_match = "pattern" not in wanted or regex_matcher(wanted["pattern"])(name)
    except UnusableError:
        return False
    is_text = "string" in atoms_of(wanted.get("type", "string"))
    return is_match and is_text and wanted.get("minLength", 0) <= len(name) <= wanted.get("maxLength", len(name))


def _draft_4(old: Sequence[Part], wanted: Any) -> bool:
    return wanted is False


# Keyword → the types that it judges, and its proof.
PROOFS: Final[dict[str, tuple[frozenset[str], Proof]]] = {
    "type": (ALL, _type),
    "minimum": (NUMERIC, _minimum),
    "maximum": (NUMERIC, _maximum),
    "exclusiveMinimum": (NUMERIC, lambda old, wanted: _draft_4(old, wanted) or _above(old, wanted)),
    "exclusiveMaximum": (NUMERIC, lambda old, wanted: _draft_4(old, wanted) or _under(old, wanted)),
    "multipleOf": (NUMERIC, _multiple),
    "minLength": (_STRING, _at_least("minLength")),
    "maxLength": (_STRING, _at_most("maxLength")),
    "pattern": (_STRING, _pattern),
    "format": (_STRING, _format),
    "required": (_OBJECT, _required),
    "minProperties": (_OBJECT, _at_least("minProperties", lambda old: len(required_in(old)))),
    "maxProperties": (_OBJECT, _most_properties),
    "propertyNames": (_OBJECT, _property_names),
    "minItems": (_ARRAY, _at_least("minItems")),
    "maxItems": (_ARRAY, _at_most("maxItems")),
    "uniqueItems": (_ARRAY, _unique),
}
