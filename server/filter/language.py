"""The filter language: a text becomes a filter once, which then says of any event whether it matches.

Place: the console, ``penstock tail`` and ``expect``, and the consumer side → HERE → filter.parse, filter.predicate.
Rules: a filter imports nothing of the programs that use it. Compiling and matching are total and bounded, so a filter
may come from anyone who may read the events.
Not here: the grammar in words (docs/FILTERS.md), the facts of a program (its own).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from server.filter import tree
from server.filter.facts import Fact, Facts, Kind, nearest
from server.filter.fault import FilterError
from server.filter.parse import Place, parse
from server.filter.predicate import Predicate, number_of, predicate, time_of, values_at
from server.filter.tree import All, Compare, Either, Has, Node, Not, Path, Search

MAX_SEARCHES: Final = 4  # Each may look through the whole event.

_NO_FACTS: Final[Mapping[str, Any]] = {}


class Term(NamedTuple):
    """One of the terms that a filter joins by *and*: its text, whether it matches, and the values that it met, at most
    three."""

    text: str
    is_met: bool
    found: list[Any]


class Filter:
    """A compiled filter. ``text`` is its canonical text."""

    __slots__ = ("_facts", "_node", "_predicate", "text")

    def __init__(self, node: Node, facts: Facts) -> None:
        self.text = tree.text_of(node)
        self._node = node
        self._facts = facts
        self._predicate: Predicate = predicate(node, self._is_fact)

    def matches(self, event: Any, facts: Mapping[str, Any] = _NO_FACTS) -> bool:
        """Whether an event matches: a dictionary as a JSON decoder returns it, and the facts about it."""
        return self._predicate(event, facts)

    def explain(self, event: Any, facts: Mapping[str, Any] = _NO_FACTS) -> list[Term]:
        """Return each term that the filter joins by *and*, and whether this event meets it."""
        parts = self._node.parts if isinstance(self._node, All) else (self._node,)
        return [self._term(part, event, facts) for part in parts]

    def _term(self, part: Node, event: Any, facts: Mapping[str, Any]) -> Term:
        found: list[Any] = []
        if isinstance(part, Compare | Has):
            document = facts if self._is_fact(part.path) else event
            found = [value for value, _ in zip(values_at(document, part.path), range(3), strict=False)]
        return Term(tree.text_of(part), predicate(part, self._is_fact)(event, facts), found)

    def _is_fact(self, path: Path) -> bool:
        return not path.is_own and self._facts.find(path.steps[0]) is not None


def compile_filter(text: str, facts: Facts | None = None) -> Filter:
    """Compile a filter. A path whose first name is that of a fact leads to the fact, any other into the event. Raises
    FilterError, which says where the fault is and what to write instead."""
    facts = facts or Facts()
    node, places = parse(text)
    for place in places:
        _check(text, place, facts)
    if _searches(node) > MAX_SEARCHES:
        raise FilterError(text, 0, "the filter searches for too many texts", f"use at most {MAX_SEARCHES} of them")
    return Filter(node, facts)


def _searches(node: Node) -> int:
    if isinstance(node, All | Either):
        return sum(_searches(part) for part in node.parts)
    return _searches(node.part) if isinstance(node, Not) else isinstance(node, Search)


def _check(text: str, place: Place, facts: Facts) -> None:
    """Check the types of the values that a term names."""
    term = place.term
    fact = None if term.path.is_own else facts.find(term.path.steps[0])
    if fact is not None and len(term.path.steps) > 1:
        own = f".{tree.path_text(term.path)}"
        raise FilterError(text, place.at, f"{fact.name} has no members", f"write {own} for the field of the event")
    for value, at in zip(term.values, place.value_ats, strict=True):
        if fact is not None:
            _check_fact(text, at, fact, term.operator, value)
        if term.operator[0] in "<>" and (number_of(value.text) if not value.is_quoted else None) is None:
            if time_of(value.text) is None:
                remedy = "write a number, or a time such as 2026-11-28 or 2026-11-28T10:00:00Z"
                raise FilterError(text, at, f"{term.operator} needs a number or a time", remedy)


def _check_fact(text: str, at: int, fact: Fact, operator: str, value: tree.Value) -> None:
    has_wildcard = operator == ":" and "*" in value.text and not value.is_quoted
    kind = fact.kind
    if operator[0] in "<>" and kind not in (Kind.NUMBER, Kind.TIME):
        raise FilterError(text, at, f"{fact.name} has no order", f"write {fact.name}:value")
    if has_wildcard and kind in (Kind.TEXT, Kind.WORD, Kind.TIME):
        return
    if kind is Kind.WORD and value.text not in fact.words:
        meant = nearest(value.text, fact.words)
        remedy = f"did you mean {meant}?" if meant else f"use one of {', '.join(fact.words)}"
        raise FilterError(text, at, f"{value.text} is no value of {fact.name}", remedy)
    is_wrong = (
        (kind is Kind.NUMBER and number_of(value.text) is None)
        or (kind is Kind.TIME and time_of(value.text) is None)
        or (kind is Kind.FLAG and value.text not in ("true", "false"))
    )
    if is_wrong:
        raise FilterError(text, at, f"{value.text} is no value of {fact.name}", f"write {kind.value}")
