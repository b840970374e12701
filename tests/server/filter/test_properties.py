"""Any text is a filter or a fault, any filter answers for any event, and its canonical text is the same filter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.filter import predicate, tree
from server.filter.fault import FilterError
from server.filter.language import Filter, compile_filter
from server.filter.parse import parse
from server.filter.tree import All, Compare, Either, Has, Node, Not, Path, Search, Value

QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

NAMES = st.sampled_from(["a", "meta", "$schema", "or", "has", "a b", "", "0", 'q"', "é", "x-y", "not"])
STEPS = st.one_of(NAMES, st.integers(-1, 3))
PATHS = st.builds(
    lambda first, rest, is_own: Path((first, *rest), is_own), NAMES, st.lists(STEPS, max_size=3), st.booleans()
)
PLAIN = st.from_regex(tree.PLAIN_VALUE, fullmatch=True)
VALUES = st.one_of(
    st.builds(Value, PLAIN),
    st.builds(Value, st.text(max_size=8).filter(lambda text: text.isprintable()), st.just(True)),
    st.builds(Value, st.sampled_from(["1", "-2.5", "true", "null", "a*", "*", "2026-11-28"])),
)
ORDERED = st.builds(
    lambda path, sign, value: Compare(path, sign, (Value(value),)),
    PATHS,
    st.sampled_from(["<", "<=", ">", ">="]),
    st.sampled_from(["1", "0.5", "2026-11-28", "2026-11-28T00:00:00Z"]),
)
EQUAL = st.builds(
    Compare, PATHS, st.sampled_from([":", "=", "!="]), st.lists(VALUES, min_size=1, max_size=3).map(tuple)
)
TERMS: st.SearchStrategy[Node] = st.one_of(
    ORDERED, EQUAL, st.builds(Has, PATHS), st.builds(Search, st.sampled_from(["x", "two words", "or", ""]))
)


def joined(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(Not, inner), st.builds(All, parts), st.builds(Either, parts))


NODES: st.SearchStrategy[Node] = st.recursive(TERMS, joined, max_leaves=8)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.text(max_size=5),
    st.sampled_from(["2026-11-28", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]),
)
EVENTS: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(NAMES, st.text(max_size=3)), inner)),
    max_leaves=20,
)


@QUICK
@given(NODES)
def test_the_canonical_text_of_a_tree_is_read_as_the_same_tree(node: Node) -> None:
    read, _ = parse(tree.text_of(node))

    assert tree.text_of(read) == tree.text_of(node)
    assert flat(read) == flat(node)


def flat(node: Node) -> Node:
    """A tree with parts of parts of its own kind lifted: ``a (b c)`` keeps its parentheses, and one part is itself."""
    if isinstance(node, Not):
        return Not(flat(node.part))
    if isinstance(node, All | Either):
        return type(node)(tuple(flat(part) for part in node.parts))
    return node


def compiled_or_fault(text: str) -> Filter | FilterError:
    try:
        return compile_filter(text)
    except FilterError as fault:
        return fault


@QUICK
@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_a_fault_with_a_place_in_it(text: str) -> None:
    found = compiled_or_fault(text)

    if isinstance(found, FilterError):
        assert 0 <= found.at <= len(text)
        assert found.problem and found.remedy
    else:
        assert compile_filter(found.text).text == found.text


@QUICK
@given(st.text(alphabet='ab.:="()<>!-*[]01, \\orhasnt', max_size=40))
def test_any_row_of_the_signs_of_the_language_is_a_filter_or_a_fault(text: str) -> None:
    test_any_text_is_a_filter_or_a_fault_with_a_place_in_it.hypothesis.inner_test(text)  # type: ignore[attr-defined]


@QUICK
@given(NODES, EVENTS, st.dictionaries(NAMES, SCALARS))
def test_a_filter_answers_for_every_event_and_its_opposite_answers_the_opposite(
    node: Node, event: Any, facts: dict[str, Any]
) -> None:
    compiled = compile_filter(tree.text_of(node))
    opposite = compile_filter(tree.text_of(Not(node)))

    assert compiled.matches(event, facts) is not opposite.matches(event, facts)
    assert all(isinstance(term.is_met, bool) for term in compiled.explain(event, facts))


@QUICK
@given(st.lists(TERMS, min_size=1, max_size=4), EVENTS)
def test_the_terms_that_are_explained_decide_as_the_filter_does(terms: list[Node], event: Any) -> None:
    node = All(tuple(terms)) if len(terms) > 1 else terms[0]
    compiled = compile_filter(tree.text_of(node))

    assert compiled.matches(event) == all(term.is_met for term in compiled.explain(event))


@QUICK
@given(st.text(alphabet="ab*", max_size=8), st.text(alphabet="ab", max_size=10))
def test_a_wildcard_finds_what_a_search_that_goes_back_finds(pattern: str, text: str) -> None:
    def matches(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(matches(pattern[1:], text[at:]) for at in range(len(text) + 1))
        return bool(text) and text[0] == pattern[0] and matches(pattern[1:], text[1:])

    if "*" in pattern:
        assert compile_filter(f"a:{pattern}").matches({"a": text}) == matches(pattern, text)


class Counted(dict[str, Any]):
    """An object that counts how often it is looked at."""

    looked = 0

    def __contains__(self, name: object) -> bool:
        Counted.looked += 1
        return super().__contains__(name)

    def items(self) -> Any:
        Counted.looked += 1
        return super().items()


def nested(width: int, depth: int) -> Iterator[Counted]:
    for _ in range(width):
        yield Counted(a=list(nested(width, depth - 1)) if depth else 1)


def test_a_comparison_and_a_search_look_at_a_bounded_number_of_values() -> None:
    event = {"a": list(nested(12, 3))}
    Counted.looked = 0
    compile_filter("a.a.a.a.b:2 or a.a.a.missing:2").matches(event)
    compared = Counted.looked
    Counted.looked = 0
    compile_filter("absent").matches(event)

    assert 0 < compared <= 2 * predicate.MAX_LOOKED
    assert 0 < Counted.looked <= predicate.MAX_SEARCHED
