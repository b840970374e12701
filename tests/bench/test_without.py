"""The server without what one concern has put on its hot path."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.micro.without import CONCERNS, strip

LISTED = [(module, begins) for concern in CONCERNS.values() for module, begins in concern.items()]


@pytest.mark.parametrize(("module", "begins"), LISTED)
def test_every_statement_that_is_taken_out_is_there_once(module: str, begins: tuple[str, ...]) -> None:
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None

    strip(Path(spec.origin).read_text(encoding="utf-8"), begins, module)


def test_a_statement_goes_with_what_it_holds_and_nothing_else_does() -> None:
    source = "def f(x):\n    if x > 1:\n        g(x)\n    return h(x)\n"

    assert ast.unparse(strip(source, ["if x > 1:"], "m")) == "def f(x):\n    pass\n    return h(x)"


def test_what_is_not_there_any_more_is_an_error() -> None:
    with pytest.raises(LookupError, match="once"):
        strip("a = 1\n", ["b = "], "m")
