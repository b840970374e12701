"""Have fastjsonschema write the function that judges by a schema, and bound what compiling it costs.

Place: mend → HERE → reference.
Rules:
1. fastjsonschema writes Python source; ``MAX_SOURCE`` bounds its length while it is written. Python compiles a
   function as a whole, which takes 10 to 120 bytes of memory and 0.1 to 0.5 µs for each byte of source, for schemas of
   every kind (bench/compiling.py).
2. Names of functions and of patterns are made here or by mend, and every text goes through ``repr`` or an escape, which
   a test attacks. Nothing is fetched, because no reference leads to another document.
3. Patterns and the texts of long enums are passed to the function under the names that mend gave them.
4. A refusal has no words, and a function is not told where in the event its value is: both would be worked out from all
   variables, in each branch of each ``anyOf`` that does not fit. The walk finds the words.
5. A counted function raises TooDearError once it has taken ``MAX_STEPS``. Counting takes about a third more time, so it
   is another function, which few schemas ever need.
Not here: the words for a schema that cannot be compiled (reference).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastjsonschema import JsonSchemaValueException
from fastjsonschema.draft07 import CodeGeneratorDraft07
from fastjsonschema.ref_resolver import RefResolver

from validators.formats.asserted import FORMATS
from validators.judge.mend import Mended
from validators.regex import pattern
from validators.steps import MAX_STEPS, Steps, weigh
from validators.unique import has_repeats
from validators.words.json_values import is_one_of

MAX_SOURCE = 300_000
MAX_COUNTED_SOURCE = 2 * MAX_SOURCE  # It holds a line more for each schema.

Validate = Callable[[Any], Any]


class SourceTooLongError(Exception):
    """The function of this schema would take too long, or too much memory, to compile."""


class _Refusal(JsonSchemaValueException):
    """A refusal without words: the library's, which has five, takes 1.4 of 2.4 µs to make."""

    def __init__(self) -> None:
        pass


class _Lines(list[str]):
    """The lines of a source, whose total length is bounded."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._size = 0
        self._most = most

    def append(self, line: str) -> None:
        self._size += len(line) + 1
        if self._size > self._most:
            raise SourceTooLongError(f"the code made of it is longer than {self._most:,} characters")
        super().append(line)


class _Generator(CodeGeneratorDraft07):
    most = MAX_SOURCE

    def __init__(self, mended: Mended) -> None:
        formats = FORMATS | {name: texts.__contains__ for name, texts in mended.texts.items()}
        resolver = RefResolver.from_schema(mended.schema, store={})
        super().__init__(  # type: ignore[no-untyped-call]
            mended.schema, resolver, formats, use_default=False, use_formats=True, detailed_exceptions=False
        )
        self._code = _Lines(self.most)
        self._patterns = mended.patterns
        self._names: dict[str, Any] = {"Refusal": _Refusal, "has_repeats": has_repeats}  # Those that the source uses.

    def function(self) -> Validate:
        """Return the function."""
        names = self.global_state
        names["REGEX_PATTERNS"] = {name: pattern.compiled(text) for name, text in self._patterns.items()}
        names |= self._names
        exec(self.func_code, names)
        return partial(names[self._resolver.get_scope_name()], custom_formats=self._custom_formats)

    def exc(self, msg: str, *args: Any, append_to_msg: str | None = None, rule: str | None = None) -> None:
        """Replace the library's refusals, which have words."""
        self.l("raise Refusal")

    def generate_ref(self) -> None:
        """Replace the library's call of another function, which tells where the value is."""
        definition: Any = self._definition
        with self._resolver.in_scope(definition["$ref"]):
            name, uri = self._resolver.get_scope_name(), self._resolver.get_uri()
            if uri not in self._validation_functions_done:
                self._needed_validation_functions[uri] = name
            self.l("{}({variable}, custom_formats)", name)

    def generate_enum(self) -> None:
        """Replace the library's comparison, which names each member of an object or a list in the source."""
        definition: Any = self._definition
        values = definition["enum"]
        if not any(isinstance(each, dict | list) for each in values):
            super().generate_enum()  # type: ignore[no-untyped-call]
            return
        name = f"values{len(self._names)}"
        self._names[name] = partial(is_one_of, values)
        with self.l("if not {}({variable}):", name):
            self.exc("{name} must be one of the values", rule="enum")

    def generate_unique_items(self) -> None:
        """Replace the library's check, which takes time with the square of the number of items that hash alike."""
        self.create_variable_is_list()  # type: ignore[no-untyped-call]
        with self.l("if {variable}_is_list and has_repeats({variable}):"):
            self.exc("{name} must contain unique items", rule="uniqueItems")


class _CountingGenerator(_Generator):
    """Writes a function that spends the steps of each schema before it applies the schema."""

    most = MAX_COUNTED_SOURCE

    def __init__(self, mended: Mended, steps: Steps) -> None:
        super().__init__(mended)
        self._names["spend"] = steps.spend

    def _generate_func_code_block(self, definition: Any) -> Any:
        if isinstance(definition, dict) and "$ref" not in definition:
            weight = weigh(definition, self._patterns.__getitem__)
            name = f"weight{len(self._names)}"
            if weight.depends:
                self._names[name] = weight.of
                self.l("spend({}({variable}))", name)
            else:
                self.l("spend({})", weight.fixed)
        return super()._generate_func_code_block(definition)  # type: ignore[no-untyped-call]


def make_function(mended: Mended) -> Validate:
    """Compile a schema. Raises SourceTooLongError, PatternError, and the errors of fastjsonschema and Python."""
    return _Generator(mended).function()


class Counted:
    """A compiled schema that raises TooDearError for a value that takes more than ``most`` steps. ``steps`` has those
    that were left in the end."""

    __slots__ = ("_validate", "most", "steps")

    def __init__(self, mended: Mended, most: int) -> None:
        """Raises what ``make_function`` raises."""
        self.most = most
        self.steps = Steps()
        self._validate = _CountingGenerator(mended, self.steps).function()

    def __call__(self, value: Any) -> Any:
        self.steps.left = self.most
        return self._validate(value)


def make_counted_function(mended: Mended) -> Counted:
    """Compile a schema into a function that counts steps. Raises what ``make_function`` raises."""
    return Counted(mended, MAX_STEPS)
