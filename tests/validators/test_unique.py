"""Equal items are found as JSON compares, and items that a client chose to hash alike do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from validators import Registry
from validators.unique import FEW, has_repeated_scalars, has_repeats, identity

PERIOD = 2**61 - 1  # Python's hash of an integer is its remainder by this.
ALIKE = [PERIOD * index for index in range(8, 1_000)]  # From 8 on they are beyond 64 bits.


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        (1, 1.0, True),
        (0, -0.0, True),
        (10**22, 1e22, True),
        (10**23, 1e23, False),  # The double is another number.
        (1, True, False),
        (0, False, False),
        (1, "1", False),
        (1, "0x1", False),
        ([1], [1.0], True),
        ([1], [True], False),
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}, True),
        ({}, [], False),
        (None, False, False),
        (1.5, 1.5, True),
    ],
)
def test_items_are_the_same_as_json_compares(one: Any, other: Any, are_same: bool) -> None:
    assert has_repeats([one, other]) is are_same


@pytest.mark.parametrize("wrap", [lambda each: each, lambda each: [each], lambda each: {"a": each}, float])
def test_numbers_that_python_hashes_alike_are_told_apart_by_their_hashes(wrap: Any) -> None:
    alike = [2.0 ** (61 * index) for index in range(16)] if wrap is float else [wrap(each) for each in ALIKE]
    assert wrap is not float or len({hash(each) for each in alike}) == 1
    hashes = {hash(identity(each)) for each in alike}

    assert len(hashes) == len(alike)


@pytest.mark.parametrize("count", [FEW, FEW + 1])
def test_scalars_are_compared_however_many_they_are(count: int) -> None:
    items = [None, "a", *range(count - 2)]

    assert not has_repeated_scalars(items)
    assert has_repeated_scalars([*items[:-1], items[0]])


@pytest.mark.parametrize(
    "of",
    [{"items": {"type": "integer"}}, {"items": {"type": "number"}}, {"items": {}, "maxItems": 10_000}],
    ids=["integers", "numbers", "any"],
)
def test_every_way_of_judging_sees_the_one_repeat_among_items_that_hash_alike(tmp_path: Path, of: Any) -> None:
    schema = {"title": "list", "properties": {"of": {"type": "array", "uniqueItems": True, **of}}}
    (tmp_path / "list").mkdir()
    (tmp_path / "list/1.0.0.yaml").write_text(json.dumps(schema | {"type": "object"}))
    check = Registry([str(tmp_path)]).validator("/list/1.0.0").check

    assert check(json.dumps({"of": ALIKE}).encode()) is None
    assert check(json.dumps({"of": [*ALIKE, ALIKE[5]]}).encode()) is not None
