"""Read the text of a filter.

Place: filter.language → HERE → filter.tree.
Rules:
1. The grammar is that of docs/FILTERS.md. Each function below is one rule of it; one pass, without going back.
2. Text, depth and number of terms are bounded, so that reading a filter takes bounded time and stack.
Not here: types of values (filter.predicate).
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

from server.filter import tree
from server.filter.fault import FilterError
from server.filter.tree import ANY_ELEMENT, All, Compare, Either, Has, Node, Not, Path, Search, Value

MAX_CHARS: Final = 2000  # A URL that holds a filter must pass proxies, which allow 4 to 8 kB.
MAX_TERMS: Final = 32
MAX_DEPTH: Final = 16
MAX_STEPS: Final = 16
MAX_VALUES: Final = 64
MAX_INDEX: Final = 999_999

_SPACE: Final = re.compile(r"\s*")
_WORD: Final = re.compile(r'[^\s"(),:=<>!\[\]\\]+')  # A bare word or the beginning of a path, dots included.
_STRING: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_OPERATOR: Final = re.compile(r"!=|<=|>=|:|=|<|>")
_ELEMENT: Final = re.compile(r"\[(?:(\*)|(\d{1,6}))\]")


class Place(NamedTuple):
    """A comparison and where it begins, for faults that are found later."""

    term: Compare
    at: int
    value_ats: tuple[int, ...]


def parse(text: str) -> tuple[Node, list[Place]]:
    """Return the tree of a filter, and the places of its comparisons. Raises FilterError."""
    if len(text) > MAX_CHARS:
        raise FilterError(text, MAX_CHARS, "the filter is too long", f"use at most {MAX_CHARS} characters")
    return _Reader(text).whole()


class _Reader:
    """One reading of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._terms = 0
        self._places: list[Place] = []

    def whole(self) -> tuple[Node, list[Place]]:
        self._skip()
        if self._at == len(self._text):
            return All(()), []
        node = self._either(0)
        if self._at < len(self._text):
            raise self._fault("a parenthesis or comma has no partner", "remove it, or put the text in quotes")
        return node, self._places

    def _either(self, depth: int) -> Node:
        """or = and { "or" and }"""
        parts = [self._all(depth)]
        while self._takes_keyword("or"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _all(self, depth: int) -> Node:
        """and = unary { [ "and" ] unary }"""
        parts = [self._unary(depth)]
        while self._at < len(self._text) and self._text[self._at] not in "),":
            if self._sees_keyword("or"):
                break
            self._takes_keyword("and")
            parts.append(self._unary(depth))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _unary(self, depth: int) -> Node:
        """unary = ( "not" | "-" ) unary | "(" or ")" | term"""
        if depth >= MAX_DEPTH:
            raise self._fault("parentheses and negations are nested too deeply", f"use at most {MAX_DEPTH} levels")
        if self._takes_keyword("not") or self._takes("-"):
            return Not(self._unary(depth + 1))
        if self._takes("("):
            begin = self._at - 1
            node = self._either(depth + 1)
            if not self._takes(")"):
                raise self._fault("a parenthesis is not closed", 'add ")"', begin)
            return node
        return self._term()

    def _term(self) -> Node:
        """term = "has:" path | path operator values | word | string"""
        begin = self._at
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise self._fault("the filter has too many terms", f"use at most {MAX_TERMS}")
        if self._text.startswith("has:", begin):
            self._at = begin + 4
            path = self._path()
            self._skip()
            return Has(path)
        if self._sees_keyword("or") or self._sees_keyword("and"):
            raise self._fault("a word that joins two terms has no term before it", "put it in quotes to search for it")
        path, raw = self._path_or_search()
        operator = _OPERATOR.match(self._text, self._at)
        if operator is None:
            self._skip()
            return Search(raw)
        self._at = operator.end()
        values, ats = self._values(operator[0])
        term = Compare(path, operator[0], values)
        self._places.append(Place(term, begin, ats))
        self._skip()
        return term

    def _path_or_search(self) -> tuple[Path, str]:
        """Read a path; a path that no operator follows is a text to be searched for, as it was written."""
        begin = self._at
        found = _STRING.match(self._text, begin)
        if found is not None:
            after = found.end()
            if not _OPERATOR.match(self._text, after) and self._text[after : after + 1] not in (".", "["):
                self._at = after
                return Path(()), self._string(found[0], begin)
        elif (word := _WORD.match(self._text, begin)) is not None:
            after = word.end()
            if not _OPERATOR.match(self._text, after) and self._text[after : after + 1] not in ("[", '"'):
                self._at = after
                return Path(()), word[0]
        path = self._path()
        if not _OPERATOR.match(self._text, self._at):
            raise self._fault("a path is not compared with anything", "write path:value or has:path, or use quotes")
        return path, ""

    def _path(self) -> Path:
        """path = [ "." ] name { "." name | "[" ( number | "*" ) "]" }"""
        is_own = self._takes_here(".")
        steps: list[str | int] = [self._name()]
        while True:
            element = _ELEMENT.match(self._text, self._at)
            if element is not None:
                self._at = element.end()
                steps.append(ANY_ELEMENT if element[1] else int(element[2]))
            elif self._takes_here("."):
                steps.append(self._name())
            else:
                break
            if len(steps) > MAX_STEPS:
                raise self._fault("the path is too long", f"use at most {MAX_STEPS} names")
        if self._text[self._at : self._at + 1] == "[":
            raise self._fault("this is no element of a list", "write [0] for the first element or [*] for any")
        return Path(tuple(steps), is_own)

    def _name(self) -> str:
        found = _STRING.match(self._text, self._at)
        if found is not None:
            begin, self._at = self._at, found.end()
            return self._string(found[0], begin)
        plain = tree.PLAIN_NAME.match(self._text, self._at)
        if plain is None:
            raise self._fault("the name of a field is missing", 'write a name, in quotes if it is unusual: meta."a b"')
        self._at = plain.end()
        return plain[0]

    def _values(self, operator: str) -> tuple[tuple[Value, ...], tuple[int, ...]]:
        """values = value | "(" value { "," value } ")" """
        begin = self._at
        if not self._takes("("):
            return (self._value(),), (begin,)
        if operator[0] in "<>":
            raise self._fault(f"{operator} compares with one value", "remove the parentheses", begin)
        values, ats = [], []
        while True:
            ats.append(self._at)
            values.append(self._value())
            self._skip()
            if self._takes_here(")"):
                return tuple(values), tuple(ats)
            if not self._takes(","):
                raise self._fault("a list of values is not closed", 'separate values by "," and end with ")"', begin)
            if len(values) >= MAX_VALUES:
                raise self._fault("the list has too many values", f"use at most {MAX_VALUES}")

    def _value(self) -> Value:
        found = _STRING.match(self._text, self._at)
        begin = self._at
        if found is not None:
            self._at = found.end()
            return Value(self._string(found[0], begin), is_quoted=True)
        plain = tree.PLAIN_VALUE.match(self._text, self._at)
        if plain is None:
            if self._text[begin : begin + 1] == '"':
                raise self._fault("a quote is not closed", "add a quote at the end of the text")
            raise self._fault("the value is missing", 'write a value right after the operator; "" is the empty text')
        self._at = plain.end()
        return Value(plain[0])

    def _string(self, raw: str, begin: int) -> str:
        try:
            text: str = json.loads(raw, strict=False)
            text.encode()
        except ValueError:
            remedy = r"escape quotes as \" and backslashes as \\"
            raise self._fault("the text in quotes is no JSON string", remedy, begin) from None
        return text

    def _sees_keyword(self, word: str) -> bool:
        found = _WORD.match(self._text, self._at)
        if found is None or found[0].lower() != word:
            return False
        return not _OPERATOR.match(self._text, found.end())

    def _takes_keyword(self, word: str) -> bool:
        if not self._sees_keyword(word):
            return False
        self._at += len(word)
        self._skip()
        return True

    def _takes(self, letter: str) -> bool:
        if not self._takes_here(letter):
            return False
        self._skip()
        return True

    def _takes_here(self, letter: str) -> bool:
        if not self._text.startswith(letter, self._at):
            return False
        self._at += 1
        return True

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        assert found is not None
        self._at = found.end()

    def _fault(self, problem: str, remedy: str, at: int | None = None) -> FilterError:
        return FilterError(self._text, self._at if at is None else at, problem, remedy)
