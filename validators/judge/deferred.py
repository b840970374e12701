"""Compile the function of a schema when it is first called.

Place: reference → HERE → registry. The events of most schemas are settled by a type (structs) and never get here,
while compiling takes ten times as long as all the rest: 8 ms and 37 kB for a schema of 25 properties.
Rules: it is called like the function itself. When it turns out that a schema cannot be compiled, it is too late to
refuse the schema; then the walk that words violations (invalid) judges: it is slower and gives the same verdict, or
raises TooDearError where it does not come to one in ``steps.MAX_STEPS``.
Not here: compiling (reference).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from validators.errors import SchemaError
from validators.judge import reference
from validators.judge.reference import Refused, Validate
from validators.steps import MAX_STEPS, TooDearError
from validators.words.invalid import Walk
from validators.words.notes import STEPS_OF_WALK

Compile = Callable[[dict[str, Any], str], Validate]


class Deferred:
    """``Deferred(whole, uri)(value)`` is ``compile_schema(whole, uri)(value)``. ``compile_one`` is another function
    that compiles."""

    __slots__ = ("_compile_one", "_uri", "_validate", "_whole")

    def __init__(self, whole: dict[str, Any], uri: str, compile_one: Compile | None = None) -> None:
        self._whole = whole
        self._uri = uri
        self._compile_one = compile_one or reference.compile_schema
        self._validate: Validate | None = None

    def __call__(self, value: Any) -> Any:
        """Judge a value. Raises Refused, and TooDearError."""
        if self._validate is None:
            self.compile()
        assert self._validate is not None
        return self._validate(value)

    def compile(self) -> str | None:
        """Compile now. Returns why it cannot be done, or None."""
        try:
            self._validate = self._compile_one(self._whole, self._uri)
        except SchemaError as error:
            self._validate = self._walk
            return str(error)
        return None

    def _walk(self, value: Any) -> Any:
        found = Walk(self._whole).problems(value, MAX_STEPS // STEPS_OF_WALK)
        if found is None:
            raise TooDearError
        if found:
            raise Refused("found by the walk")
        return value
