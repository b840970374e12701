"""Have fastjsonschema write the function that judges by a schema, and bound what compiling it costs.

Place: mend → HERE → reference.
Rules:
1. fastjsonschema writes Python source; ``MAX_SOURCE`` bounds its length while it is written. Python compiles a
   function as a whole, which takes 10 to 120 bytes of memory and 0.1 to 0.5 µs for each byte of source, for schemas of
   every kind (bench/compiling.py).
2. Names of functions and of patterns are made here or by mend, and every text goes through ``repr`` or an escape, which
   a test attacks. Nothing is fetched, because no reference leads to another document.
3. Patterns and the texts of long enums are passed to the function under the names that mend gave them.
Not here: the words for a schema that cannot be compiled (reference).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastjsonschema.draft07 import CodeGeneratorDraft07
from fastjsonschema.ref_resolver import RefResolver

from validators.formats.asserted import FORMATS
from validators.judge.mend import Mended
from validators.regex import pattern
from validators.unique import has_repeats

MAX_SOURCE = 300_000

Validate = Callable[[Any], Any]


class SourceTooLongError(Exception):
    """The function of this schema would take too long, or too much memory, to compile."""


class _Lines(list[str]):
    """The lines of a source, whose total length is bounded."""

    def __init__(self) -> None:
        super().__init__()
        self._size = 0

    def append(self, line: str) -> None:
        self._size += len(line) + 1
        if self._size > MAX_SOURCE:
            raise SourceTooLongError(f"the code made of it is longer than {MAX_SOURCE:,} characters")
        super().append(line)


class _Generator(CodeGeneratorDraft07):
    def __init__(self, schema: dict[str, Any], resolver: RefResolver, formats: dict[str, Callable[[str], Any]]) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            schema, resolver, formats, use_default=False, use_formats=True, detailed_exceptions=False
        )
        self._code = _Lines()

    def generate_unique_items(self) -> None:
        """Replace the library's check, which takes time with the square of the number of items that hash alike."""
        self.create_variable_is_list()  # type: ignore[no-untyped-call]
        with self.l("if {variable}_is_list and has_repeats({variable}):"):
            self.exc("{name} must contain unique items", rule="uniqueItems")  # type: ignore[no-untyped-call]


def make_function(mended: Mended) -> Validate:
    """Compile a schema. Raises SourceTooLongError, PatternError, and the errors of fastjsonschema and Python."""
    resolver = RefResolver.from_schema(mended.schema, store={})
    formats = FORMATS | {name: texts.__contains__ for name, texts in mended.texts.items()}
    generator = _Generator(mended.schema, resolver, formats)
    names = generator.global_state
    names["REGEX_PATTERNS"] = {name: pattern.compiled(text) for name, text in mended.patterns.items()}
    names["has_repeats"] = has_repeats
    exec(generator.func_code, names)
    return partial(names[resolver.get_scope_name()], custom_formats=formats)
