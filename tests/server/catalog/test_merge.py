"""Settings laid over one another: the more specific value always wins."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.catalog.merge import merge

pytestmark = pytest.mark.slow(reason="it merges many generated settings")

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"])
NAMES = st.sampled_from(["a", "b", "c"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.lists(SCALARS, max_size=3),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
MAPS = st.dictionaries(NAMES, VALUES, max_size=3)


def leaves(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every value that is not a map with keys, by its path."""
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {below: leaf for name, inner in value.items() for below, leaf in leaves(inner, (*path, name)).items()}


def at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


@given(MAPS, MAPS)
def test_every_leaf_of_the_more_specific_wins(general: dict[str, Any], specific: dict[str, Any]) -> None:
    merged = merge(general, specific)

    for path, leaf in leaves(specific).items():
        if leaf != {}:  # An empty map adds nothing to a map and replaces anything else.
            assert at(merged, path) == leaf


@given(MAPS, MAPS)
def test_what_the_more_specific_does_not_touch_is_kept(general: dict[str, Any], specific: dict[str, Any]) -> None:
    merged = merge(general, specific)

    assert set(merged) == set(general) | set(specific)
    for name in set(general) - set(specific):
        assert merged[name] == general[name]


@given(VALUES, VALUES)
def test_neither_argument_is_changed(general: Any, specific: Any) -> None:
    before = copy.deepcopy((general, specific))

    merge(general, specific)

    assert (general, specific) == before


@given(VALUES)
def test_merging_a_value_with_itself_changes_nothing(value: Any) -> None:
    assert merge(value, value) == value


@given(MAPS)
def test_an_empty_map_is_neutral_on_either_side(value: dict[str, Any]) -> None:
    assert merge(value, {}) == value
    assert merge({}, value) == value


SHAPED = st.fixed_dictionaries(
    {},
    optional={
        "flag": SCALARS,
        "list": st.lists(SCALARS, max_size=3),
        "map": st.fixed_dictionaries(
            {}, optional={"flag": SCALARS, "map": st.dictionaries(NAMES, SCALARS, max_size=3)}
        ),
    },
)


@given(SHAPED, SHAPED, SHAPED)
def test_merge_is_associative_where_maps_stay_maps(a: Any, b: Any, c: Any) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


def test_merge_is_not_associative_where_a_scalar_stands_between_two_maps() -> None:
    """The order of laying over is therefore fixed: from the general to the specific."""
    general, unset, specific = {"a": {"x": 1}}, {"a": None}, {"a": {"y": 2}}

    assert merge(merge(general, unset), specific) == {"a": {"y": 2}}
    assert merge(general, merge(unset, specific)) == {"a": {"x": 1, "y": 2}}


def test_lists_null_and_false_replace() -> None:
    assert merge({"p": ["x.", "y."]}, {"p": ["z."]}) == {"p": ["z."]}
    assert merge({"p": ["x.", "y."]}, {"p": []}) == {"p": []}
    assert merge({"p": ["x."]}, {"p": None}) == {"p": None}
    assert merge({"p": "user-agent"}, {"p": False}) == {"p": False}


def test_key_fields_keep_the_order_in_which_they_were_declared() -> None:
    assert list(merge({"wiki_id": 1, "page_id": 2}, {"rev_id": 3, "wiki_id": 4})) == ["wiki_id", "page_id", "rev_id"]
