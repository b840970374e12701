"""Prove that every value of one schema is a value of another, or name the gaps in the proof.

Place: compare → HERE → witness, which turns gaps into events or leaves them unknown.
Rules:
1. No gap is a proof: every value that the first schema takes, the second takes. It holds for references in a circle
   too, since each round goes down into the value.
2. A gap is no contradiction. It says which constraint of the second schema was not proved, and of which value.
3. Keywords that narrow the first schema may be ignored (``not``, ``if``, ``dependencies``): the proof then says more
   than is needed. A keyword of the second that is not understood is a gap, never passed over.
Not here: events (witness), names of rules (rules).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from server.schemas.judges import Bundle
from server.schemas_tool.proof.bounds import PROOFS
from server.schemas_tool.proof.gap import NOTES, Gap, bare, with_group
from server.schemas_tool.proof.views import Part, Path, below, is_impossible, parts_of, types_of, values_of
from server.schemas_tool.proof.walks import MOST_DEPTH, WALKS

LATER_DRAFTS: Final = frozenset(
    (
        *("$defs", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef"),
        *("dependentRequired", "dependentSchemas", "maxContains", "minContains", "prefixItems"),
        *("unevaluatedItems", "unevaluatedProperties"),
    )
)
ALONE: Final = frozenset({"anyOf", "oneOf", "not", "contains", "enum", "const", "dependencies"})
OBJECTS: Final = frozenset({"properties", "patternProperties", "additionalProperties", "dependencies"})
ARRAYS: Final = frozenset({"items", "additionalItems", "contains"})
_ROOT: Final = "'$ref': '#'"  # The same reference, and yet another schema in each of the two.
_MOST_STEPS: Final = 40_000


class Proof:
    """One attempt to prove that ``old`` is contained in ``new``."""

    def __init__(self, old: Bundle, new: Bundle) -> None:
        self.old, self.new = old, new
        names = [repr(bundle.schema.get("definitions")) for bundle in (old, new)]
        self._is_same_names = names[0] == names[1] and _ROOT not in names[0]
        self._open: set[tuple[frozenset[int], frozenset[int]]] = set()
        self._steps = 0
        self._kept: list[Any] = []  # Identities are compared, so nothing may be freed on the way.

    def gaps(self) -> list[Gap]:
        """Return all gaps. Raises UnusableError."""
        old, new = parts_of(self.old, self.old.schema, ()), parts_of(self.new, self.new.schema, ())
        return self.contain(old, new, (), 0)

    def contain(self, old: list[Part], new: list[Part], where: Path, depth: int) -> list[Gap]:
        """Return the gaps of one value."""
        return list(self._contain(old, new, where, depth))  # Until its end: it remembers what is being compared.

    def _contain(self, old: list[Part], new: list[Part], where: Path, depth: int) -> Iterator[Gap]:
        self._steps += 1
        self._kept.append((old, new))
        if not new or is_impossible(self.old, old):
            return
        known = (frozenset(id(part.schema) for part in old), frozenset(id(part.schema) for part in new))
        if known in self._open:
            return
        if depth > MOST_DEPTH or self._steps > _MOST_STEPS:
            yield Gap("depth", where, new[0].path, True, tuple(old), tuple(new))
            return
        self._open.add(known)
        try:
            values = values_of(self.old, old)
            for part in new:
                if values is not None:
                    yield from self._listed(values, old, part, where)
                elif not any(self.is_same(part.schema, other.schema) for other in old):
                    yield from self._part(old, part, where, depth)
        finally:
            self._open.discard(known)

    def _listed(self, values: Sequence[Any], old: list[Part], part: Part, where: Path) -> Iterator[Gap]:
        if all(self.new.accepts(part.schema, value) for value in values):
            return
        refused = [
            keyword
            for keyword in (part.schema if isinstance(part.schema, dict) else ())
            if keyword not in NOTES and not all(self.new.accepts(with_group(part, keyword), value) for value in values)
        ]
        for keyword in refused:
            yield Gap(keyword, where, (*part.path, keyword), with_group(part, keyword), tuple(old), (part,))
        if not refused:
            yield Gap("false", where, part.path, part.schema, tuple(old), (part,))

    def _part(self, old: list[Part], part: Part, where: Path, depth: int) -> Iterator[Gap]:
        if part.schema is False:
            yield Gap("false", where, part.path, False, tuple(old), (part,))
            return
        for keyword in part.schema:
            if keyword in NOTES:
                continue
            if keyword in OBJECTS and "object" not in types_of(old):
                continue
            if keyword in ARRAYS and "array" not in types_of(old):
                continue
            found = list(self._keyword(keyword, old, part, where, depth))
            if found and not self._is_proved_by_cases(keyword, old, part, where, depth):
                yield from found

    def _keyword(self, keyword: str, old: list[Part], part: Part, where: Path, depth: int) -> Iterator[Gap]:
        constraint = part.schema[keyword]
        gap = Gap(keyword, where, (*part.path, keyword), with_group(part, keyword), tuple(old), (part,))
        if keyword in ALONE and any(
            self.is_same({keyword: constraint}, {keyword: other.schema[keyword]})
            for other in old
            if isinstance(other.schema, dict) and keyword in other.schema
        ):
            return
        if keyword in PROOFS:
            types, proof = PROOFS[keyword]
            if not types.isdisjoint(types_of(old)) and not proof(old, constraint):
                yield gap
        elif keyword in WALKS:
            yield from WALKS[keyword](self, old, part, gap, depth)
        elif keyword in LATER_DRAFTS:
            yield gap._replace(keyword="unsupported")

    def _is_proved_by_cases(self, keyword: str, old: list[Part], part: Part, where: Path, depth: int) -> bool:
        """Try each branch of a union of the old schema by itself: each of its values is a value of one of them."""
        narrowed = part._replace(schema=with_group(part, keyword))
        for index, other in enumerate(old):
            for union in ("anyOf", "oneOf"):
                if isinstance(other.schema, dict) and union in other.schema and depth < MOST_DEPTH:
                    rest = {word: value for word, value in other.schema.items() if word != union}
                    others = [*old[:index], other._replace(schema=rest), *old[index + 1 :]]
                    if all(
                        not self.contain(
                            [*others, *below(self.old, other, branch, union, at)], [narrowed], where, depth + 8
                        )
                        for at, branch in enumerate(other.schema[union])
                    ):
                        return True
        return False

    def is_same(self, new: Any, old: Any) -> bool:
        """Whether both schemas say the same, apart from what only describes."""
        new, old = bare(new), bare(old)
        text = repr(new)
        return text == repr(old) and ("$ref" not in text or (self._is_same_names and _ROOT not in text))
