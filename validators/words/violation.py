"""Word violations as AJV 6 does, because clients and dashboards parse these texts.

Place: invalid and validator make violations; the code that answers the client reads them.
Rule: text that came with the event is cut at ``MAX_TEXT`` characters before it is sent back.
Not here: finding violations (invalid).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec

from validators.load.dialect import escape
from validators.steps import MAX_STEPS

MAX_TEXT = 1_000  # A property's name may be as long as the event.

_IDENTIFIER = re.compile(r"[A-Za-z$_][A-Za-z0-9$_]*")
_ESCAPES = str.maketrans({"'": r"\'", "\\": r"\\", "\n": r"\n", "\r": r"\r", "\f": r"\f", "\t": r"\t"})


class Violation(msgspec.Struct, frozen=True):
    """One entry of AJV's ``errors``. ``dataPath`` is JavaScript's notation: ``.a['user-agent'][0]``."""

    keyword: str
    dataPath: str  # noqa: N815 (AJV's name, and part of the answer)
    schemaPath: str  # noqa: N815
    params: dict[str, Any]
    message: str


def errors_text(problems: Iterable[Violation]) -> str:
    """Join problems as EventGate does: ``'.test' should be string, '.meta' should have required property 'dt'``."""
    return ", ".join(f"'{each.dataPath}' {each.message}" for each in problems)


def unreadable(keyword: str, message: str) -> Violation:
    """Return a violation that concerns the text as a whole and no keyword of the schema."""
    return Violation(keyword=keyword, dataPath="", schemaPath="#", params={}, message=message)


UNPLACED = unreadable(
    "schema", "should match the schema, but is too large or too deep to find the place where it does not"
)
"""The only violation of an event that is wrong, and for which the walk reached its limits before it found out where."""

UNEXPLAINED = unreadable("schema", "should match the schema")
"""The only violation of an event that is wrong, and for which no reason was found."""

TOO_DEAR = Violation(
    keyword="steps",
    dataPath="",
    schemaPath="#",
    params={"limit": MAX_STEPS},
    message=f"should take no more than {MAX_STEPS:,} steps to be judged by its schema",
)
"""The only violation of an event whose verdict would take too long to find."""


def is_too_dear(problems: Sequence[Violation] | None) -> bool:
    """Whether an event was not judged, because that would take too long."""
    return problems is not None and TOO_DEAR in problems


def cut(text: str) -> str:
    """Cut a text that came with the event to ``MAX_TEXT`` characters."""
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"


@lru_cache(maxsize=4_096)  # It only sees names of schemas, which come with every refusal.
def declared(name: str) -> str:
    """Return the step to a property that the schema names: ``.dt``, ``['user-agent']``."""
    return f".{name}" if _IDENTIFIER.fullmatch(name) else f"['{name.translate(_ESCAPES)}']"


def found(name: str) -> str:
    """Return the step to a property that only the event names: AJV always writes brackets here, and escapes nothing."""
    return f"['{name}']"


@lru_cache(maxsize=4_096)
def fragment(name: str) -> str:
    """Return a name as a step of a schemaPath: a JSON pointer inside a URI fragment, as ``encodeURIComponent`` does."""
    return "/" + quote(escape(name), safe="!~*'()")


def number(value: float) -> str:
    """Write a number as JavaScript does: ``10``, ``0.5``, ``1e-7``. Integers of any size stay exact."""
    if isinstance(value, int) or value.is_integer():
        text = str(int(value))
        if isinstance(value, int) or len(text.lstrip("-")) <= 21:
            return text
    mantissa, e, exponent = repr(value).partition("e")
    if not e:
        return mantissa
    if -7 < int(exponent) < 0:  # Python turns to exponents two places earlier.
        return f"{value:.{len(mantissa.replace('.', '').lstrip('-')) - 1 - int(exponent)}f}"
    return f"{mantissa.removesuffix('.0')}e{'+' if int(exponent) > 0 else '-'}{abs(int(exponent))}"
