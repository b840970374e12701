"""The regular expressions of the code mean the same in every Python that runs it.

CPython before 3.11.5 (Debian 12 has 3.11.2) matches some possessive groups wrongly: those that can be matched in
several ways (gh-106052), those with groups that are captured (gh-101955), and those whose match may end after a repeat
in it: it has then matched that repeat.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import pytest

import eventstreams
import processors
import server
import validators

_constants: Final[Any] = importlib.import_module("re._constants")
_parser: Final[Any] = importlib.import_module("re._parser")
NEEDS_MORE: Final = ("processors.lake", "processors.page_change.flink", "server.compiled.build")
CHOICES: Final = (_constants.BRANCH, _constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.GROUPREF_EXISTS)


def modules() -> Iterator[ModuleType]:
    """Everything that can be imported here."""
    for package in (eventstreams, processors, server, validators):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.startswith(NEEDS_MORE) and not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


def patterns(value: object) -> Iterator[re.Pattern[Any]]:
    """The patterns that a module has in its constants."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        yield from (found for each in value.values() for found in patterns(each))
    elif isinstance(value, tuple | list | frozenset):
        yield from (found for each in value for found in patterns(each))


def is_fragile(parsed: Any) -> bool:
    """Whether a possessive group with this content is matched wrongly by some Pythons."""
    has_repeat = False
    for operation, content in parsed:
        if operation in CHOICES or has_repeat:
            return True
        if operation is _constants.SUBPATTERN and (content[0] is not None or is_fragile(content[3])):
            return True
        has_repeat |= operation is _constants.POSSESSIVE_REPEAT
    return False


def faults(parsed: Any) -> Iterator[str]:
    """The fragile possessive groups."""
    if isinstance(parsed, tuple) and parsed and parsed[0] is _constants.POSSESSIVE_REPEAT and is_fragile(parsed[1][2]):
        yield repr(parsed)
    if isinstance(parsed, tuple | list | _parser.SubPattern):
        for each in parsed:
            yield from faults(each)


def of(pattern: re.Pattern[Any]) -> list[str]:
    text = pattern.pattern
    return list(faults(_parser.parse(text.decode("latin-1") if isinstance(text, bytes) else text, pattern.flags)))


def test_no_possessive_group_is_fragile() -> None:
    seen = {(module.__name__, each) for module in modules() for each in patterns(tuple(vars(module).values()))}

    assert len(seen) > 100
    assert [(name, pattern.pattern) for name, pattern in seen if of(pattern)] == []


@pytest.mark.parametrize(
    ("pattern", "is_fault"),
    [
        (r'"(?:[^"\\]|\\.)*+"', True),
        ("(?:ab?c)*+", True),
        ("(?:a(?:bx|cy)d)++", True),
        ("(?:a(b))++", True),
        ("(?:ab++c)++", True),
        ("(?:ab++)++", False),
        ("(?:a*b)++", True),
        (r'[^"\\]*+(?:\\.[^"\\]*+)*+', False),
        ("[ab]++c*", False),
    ],
)
def test_such_groups_are_found(pattern: str, is_fault: bool) -> None:
    assert bool(of(re.compile(pattern))) is is_fault
