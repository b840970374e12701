"""Prove keywords that hold schemas: properties, items, unions, conditions and dependencies.

Place: contain → HERE, which asks contain about the schemas inside.
Rules: as in contain. Each walk yields the gaps of one keyword of one part.
Not here: keywords that hold plain values (bounds).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from server.schemas_tool.proof import views
from server.schemas_tool.proof.gap import Gap, with_group
from server.schemas_tool.proof.views import Part, below, is_impossible, parts_of, types_of

if TYPE_CHECKING:
    from server.schemas_tool.proof.contain import Proof

MOST_DEPTH: Final = 60


def _properties(proof: Proof, old: list[Part], part: Part, gap: Gap, depth: int) -> Iterator[Gap]:
    """Judge all properties at once: the three keywords decide together what a property is judged by."""
    first = next(key for key in part.schema if key in ("properties", "patternProperties", "additionalProperties"))
    if gap.keyword != first:
        return
    patterns = _patterns(old) | _patterns([part])
    if patterns and _patterns(old) != _patterns([part]):
        yield gap._replace(keyword="patternProperties")
        return
    for name in views.names_in([*old, part]):
        before, after = views.property_view(proof.old, old, name), views.property_view(proof.new, [part], name)
        found = proof.contain(before, after, (*gap.where, name), depth + 1)
        if before or name not in part.schema.get("properties", {}) or _is_declared(old, name):
            yield from found
        elif found:
            whole = {"allOf": [each.schema for each in after]}
            yield Gap("open", (*gap.where, name), after[0].path, whole, (), tuple(after))
    for text in sorted(patterns):
        before = [
            p
            for other in old
            if text in _patterns([other])
            for p in below(proof.old, other, other.schema["patternProperties"][text], "patternProperties", text)
        ]
        after = below(proof.new, part, part.schema["patternProperties"][text], "patternProperties", text)
        yield from proof.contain(before, after, (*gap.where, "*"), depth + 1)
    before, after = views.property_view(proof.old, old, None), views.property_view(proof.new, [part], None)
    yield from proof.contain(before, after, (*gap.where, "*"), depth + 1)


def _is_declared(parts: Sequence[Part], name: str) -> bool:
    return any(isinstance(part.schema, dict) and name in part.schema.get("properties", ()) for part in parts)


def _patterns(parts: Sequence[Part]) -> set[str]:
    return {
        text for part in parts if isinstance(part.schema, dict) for text in part.schema.get("patternProperties", ())
    }


def _items(proof: Proof, old: list[Part], part: Part, gap: Gap, depth: int) -> Iterator[Gap]:
    if gap.keyword == "additionalItems" and "items" in part.schema:
        return
    lists = [other.schema.get("items") for other in (*old, part) if isinstance(other.schema, dict)]
    count = max((len(items) for items in lists if isinstance(items, list)), default=0)
    most = min(
        (p.schema["maxItems"] for p in old if isinstance(p.schema, dict) and "maxItems" in p.schema), default=None
    )
    for index in (*range(count), None):
        if most is not None and (count if index is None else index) >= most:
            continue
        before, after = views.item_view(proof.old, old, index), views.item_view(proof.new, [part], index)
        yield from proof.contain(before, after, (*gap.where, "[]" if index is None else index), depth + 1)


def _any_of(proof: Proof, old: list[Part], part: Part, gap: Gap, depth: int) -> Iterator[Gap]:
    """Each type that the old schema allows must lie within one of the branches."""
    for atom in sorted(types_of(old)):
        if not any(_is_within(proof, old, atom, branch, part, gap, depth) for branch in part.schema["anyOf"]):
            yield gap
            return


def _is_within(proof: Proof, old: list[Part], atom: str, branch: Any, part: Part, gap: Gap, depth: int) -> bool:
    kind = "number" if atom == "fraction" else atom
    narrowed = [*old, Part({"type": kind}, ())]
    after = below(proof.new, part, branch, gap.keyword)
    return depth < MOST_DEPTH and not proof.contain(narrowed, after, gap.where, depth + 8)


def _one_of(proof: Proof, old: list[Part], part: Part, gap: Gap, depth: int) -> Iterator[Gap]:
    """Branches whose types differ exclude one another: then one of them is enough, as for anyOf."""
    kinds = [types_of(below(proof.new, part, branch, "oneOf")) for branch in part.schema["oneOf"]]
    if any(kinds[a] & kinds[b] for a in range(len(kinds)) for b in range(a)):
        yield gap
        return
    for atom in sorted(types_of(old)):
        if not any(_is_within(proof, old, atom, branch, part, gap, depth) for branch in part.schema["oneOf"]):
            yield gap
            return


def _not(proof: Proof, old: list[Part], part: Part, gap: Gap, depth: int) -> Iterator[Gap]:
    excluded = parts_of(proof.new, part.schema["not"], gap.place, is_behind=True)
    is_other_type = not types_of(old) & types_of(excluded)
    if not is_other_type:
        yield gap


def _condition(proof: Proof, old: list[Part], part: Part, gap: Gap, depth: int) -> Iterator[Gap]:
    if gap.keyword != "if":
        return
    words = ("if", "then", "else")
    mine = with_group(part, "if")
    for other in old:
        if isinstance(other.schema, dict):
            theirs = {word: other.schema[word] for word in words if word in other.schema}
            if theirs and proof.is_same({"allOf": [mine]}, {"allOf": [theirs]}):
                return
    for word in ("then", "else"):
        after = below(proof.new, part, part.schema.get(word, True), word)
        if proof.contain(old, after, gap.where, depth + 8):
            yield gap
            return


def _dependencies(proof: Proof, old: list[Part], part: Part, gap: Gap, depth: int) -> Iterator[Gap]:
    for name, wanted in part.schema["dependencies"].items():
        before = [other.schema.get("dependencies", {}).get(name) for other in old if isinstance(other.schema, dict)]
        if any(each is not None and proof.is_same(wanted, each) for each in before):
            continue
        if is_impossible(proof.old, views.property_view(proof.old, old, name)):
            continue
        with_name = [*old, Part({"required": [name]}, ())]
        schema = {"required": wanted} if isinstance(wanted, list) else wanted
        if proof.contain(with_name, below(proof.new, part, schema, "dependencies", name), gap.where, depth + 8):
            yield gap
            return


def _values(proof: Proof, old: list[Part], part: Part, gap: Gap, depth: int) -> Iterator[Gap]:
    """Leave it to the search for a witness, where the old schema neither lists its values nor says the same."""
    yield gap


Walk = Callable[["Proof", list[Part], Part, Gap, int], Iterator[Gap]]
WALKS: Final[dict[str, Walk]] = {
    "properties": _properties,
    "patternProperties": _properties,
    "additionalProperties": _properties,
    "items": _items,
    "additionalItems": _items,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _condition,
    "then": _condition,
    "else": _condition,
    "dependencies": _dependencies,
    "enum": _values,
    "const": _values,
    "contains": _values,
}
