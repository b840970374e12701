"""Turn a type and its check into one Python function that decodes, checks and returns the wanted members.

Place: structs → HERE → validator and event_reader. A function is generated once per schema; an event then costs one
call.
Rules:
1. The source contains no text of the schema: all names are made here, and constants are passed in by number.
2. The function accepts, or leaves the event to the reference; it never raises (that of a part does: its caller
   catches).
3. The decoder skips texts that no field names without checking their UTF-8, so all of the bytes are checked here.
Not here: what is checked (checks, structs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from validators.quick.checks import (
    Check,
    Choice,
    Items,
    Judge,
    Map,
    MembersCheck,
    Object,
    Rule,
    Text,
    ValuesCheck,
    asks,
)
from validators.regex.pattern import SHORT
from validators.unique import has_repeated_scalars
from validators.words.predicates import Never, anything

Path = tuple[str, ...]
Read = Callable[[bytes], tuple[Any, ...] | None]

MAX_DEPTH = 60  # Levels of indentation. Python allows 100, and 20 nested loops.
MAX_LOOPS = 15
MAX_LINES = 20_000
MAX_OWN_RULES = 8  # To ask a dict for each member with a rule takes less time than to look a rule up for each member.


class UnwritableError(Exception):
    """No function can be generated: it would be too large, or a wanted member is not in the type."""


class RefusedError(ValueError):
    """Raised and caught inside a generated function when it cannot accept the event."""


REFUSALS = (msgspec.DecodeError, ValueError, LookupError, RecursionError)  # UnicodeDecodeError is a ValueError.


class Wanted:
    """The members that a function returns.

    ``paths`` are the members, in this order; those in ``texts`` must be strings. For each path in ``missing`` that an
    event lacks, the function sets a bit, 1 for the first. By the type, every ancestor of a path must be an object.
    """

    def __init__(self, paths: Sequence[Path], texts: Iterable[Path] = (), missing: Sequence[Path] = ()) -> None:
        self.paths = tuple(paths)
        self.texts = frozenset(texts)
        self.bits = {path: 1 << at for at, path in enumerate(missing)}
        prefixes = {path[:depth] for path in (*paths, *missing) for depth in range(1, len(path) + 1)}
        self.variables = {path: f"w{at}" for at, path in enumerate(sorted(prefixes))}

    def below(self, path: Path | None) -> dict[str, Path]:
        """Return, by name, the members of the object at ``path`` that are wanted or hold wanted members."""
        if path is None:
            return {}
        return {each[-1]: each for each in self.variables if each[:-1] == path}

    def inside(self, path: Path) -> list[Path]:
        """Return all wanted paths below ``path``, at any depth."""
        return [each for each in self.variables if len(each) > len(path) and each[: len(path)] == path]


NOTHING = Wanted(())


def judge(decode: Callable[[bytes], Any], check: Check, refer: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Return a function that returns None for bytes that are certainly valid, and the result of ``refer`` for others.

    Raises UnwritableError.
    """
    writer = _Writer(NOTHING)
    writer.value(check, "x", 2, None)
    function: Callable[[bytes], Any] = writer.function(decode, refer, "None")
    return function


def judge_part(decode: Callable[[Any], Any], check: Check) -> Judge:
    """Return a function for use in another one: it returns whether a part of an event is certainly valid, or raises
    one of REFUSALS.

    Raises UnwritableError.
    """
    writer = _Writer(NOTHING)
    writer.value(check, "x", 2, None)
    function: Judge = writer.part(decode)
    return function


def reader(decode: Callable[[bytes], Any], check: Check, wanted: Wanted) -> Read:
    """Return a function that returns, for certainly valid bytes, the number of missing bits and the wanted values.

    UNSET stands for a missing value. For bytes that are not certainly valid it returns None. Raises UnwritableError.
    """
    writer = _Writer(wanted)
    writer.line(2, "m = 0")
    writer.value(check, "x", 2, ())
    values = "".join(f", {wanted.variables[path]}" for path in wanted.paths)
    function: Read = writer.function(decode, lambda _raw: None, f"(m{values},)")
    return function


class _Writer:
    def __init__(self, wanted: Wanted) -> None:
        self._constants: dict[str, Any] = {
            "UNSET": UNSET,
            "REFUSALS": REFUSALS,
            "RefusedError": RefusedError,
            "has_repeated_scalars": has_repeated_scalars,
        }
        self._lines: list[str] = []
        self._variables = 0
        self._loops = 0
        self._wanted = wanted

    def function(self, decode: Callable[[bytes], Any], refer: Callable[[bytes], Any], passed: str) -> Any:
        """Compile the lines written so far, which check ``x``, the decoded value."""
        self._constants["refer"] = refer
        head = ["def run(raw):", " try:", "  if not raw.isascii():", "   raw.decode()", "  x = decode(raw)"]
        tail = [" except REFUSALS:", "  return refer(raw)", f" return {passed}"]
        return self._compile(decode, [*head, *self._lines, *tail])

    def part(self, decode: Callable[[Any], Any]) -> Any:
        return self._compile(decode, ["def run(raw):", "  x = decode(raw)", *self._lines, "  return True"])

    def _compile(self, decode: Callable[[Any], Any], lines: list[str]) -> Any:
        self._constants["decode"] = decode
        exec(compile("\n".join(lines), "<validator>", "exec"), self._constants)
        return self._constants.pop("run")

    def line(self, depth: int, text: str) -> None:
        if depth > MAX_DEPTH or len(self._lines) > MAX_LINES:
            raise UnwritableError("is too large for one function")
        self._lines.append(" " * depth + text)

    def value(self, check: Check, x: str, depth: int, path: Path | None) -> None:
        """Write the check of the value in variable ``x``. ``path`` None: no member of it is returned."""
        if not asks(check) and not self._wanted.below(path):
            return None
        match check:
            case Text():
                for test in check.tests:
                    call = self._constant(test.call)
                    if test.for_short is not None:
                        call = f"({self._constant(test.for_short)} if len({x}) <= {SHORT} else {call})"
                    self._refuse(depth, f"{call}({x})" if test.refuses else f"not {call}({x})")
                    if test.beside:
                        self._refuse(depth, f"not ({test.beside.format(x=x)})")
            case Object():
                return self._object(check, x, depth, path)
            case Items():
                self._items(check, x, depth)
            case Map():
                return self._map(check, x, depth, path)
            case MembersCheck():
                self._members(check, x, depth)
            case ValuesCheck():
                self._values(check, x, depth)
            case Choice():
                for kind, part in filter(lambda each: asks(each[1]), check.parts):
                    self.line(depth, f"if {x}.__class__ is {self._constant(kind)}:")
                    self.value(part, x, depth + 1, None)
        self._all_found(self._wanted.below(path))
        return None

    def _object(self, check: Object, x: str, depth: int, path: Path | None) -> None:
        below = self._wanted.below(path)
        for field in check.fields:
            child = below.pop(field.name, None)
            if child is None and not asks(field.check):
                continue
            name = self._name(child)
            self.line(depth, f"{name} = {x}.{field.attribute}")
            if child is not None:
                self._hand_out(child, depth)
            if not asks(field.check) and not self._wanted.below(child):
                continue
            if field.is_optional:
                self.line(depth, f"if {name} is not UNSET:")
            self.value(field.check, name, depth + field.is_optional, child)
        self._all_found(below)

    def _map(self, check: Map, x: str, depth: int, path: Path | None) -> None:
        for name, child in self._wanted.below(path).items():
            self.line(depth, f"{self._name(child)} = {x}.get({self._constant(name)}, UNSET)")
            self._hand_out(child, depth)
            self._all_found(self._wanted.below(child))
        self._named(check, x, depth)
        if asks(check.values):
            self._each(f"{x}.values()", check.values, depth)

    def _items(self, check: Items, x: str, depth: int) -> None:
        if check.is_unique:
            self._refuse(depth, f"has_repeated_scalars({x})")
        if asks(check.check):
            self._each(x, check.check, depth)

    def _members(self, check: MembersCheck, x: str, depth: int) -> None:
        self._named(check, x, depth)
        name, value, judge = self._name(None), self._name(None), self._name(None)
        get = f"{self._constant(dict(check.judges))}.get({name}, {self._constant(check.rest)})"
        self.line(depth, f"for {name}, {value} in {x}.items():")
        self.line(depth + 1, f"{judge} = {get}")
        self._refuse(depth + 1, f"{judge} is not None and not {judge}({value})")

    def _values(self, check: ValuesCheck, x: str, depth: int) -> None:
        """Write the check of each member: of those with a rule of their own, which are taken out, then of the rest."""
        self._named(check, x, depth)
        own = {name: rule for name, rule in check.rules.items() if rule != check.rest}
        if len(own) > MAX_OWN_RULES:
            return self._values_by_name(check, x, depth)
        for name, rule in own.items():
            value = self._name(None)
            self.line(depth, f"{value} = {x}.pop({self._constant(name)}, UNSET)")
            if rule.test is not anything:
                self.line(depth, f"if {value} is not UNSET:")
                self._refuse(depth + 1, self._breaks(rule, value))
        if check.rest.test is not anything:
            value = self._name(None)
            self.line(depth, f"for {value} in {x}.values():")
            self._refuse(depth + 1, self._breaks(check.rest, value))
        return None

    def _breaks(self, rule: Rule, x: str) -> str:
        test = f"not {self._constant(rule.test)}({x})"
        return test if rule.kind is Never else f"{x}.__class__ is not {self._constant(rule.kind)} and {test}"

    def _values_by_name(self, check: ValuesCheck, x: str, depth: int) -> None:
        name, value = self._name(None), self._name(None)
        kinds = self._constant({each: rule.kind for each, rule in check.rules.items()})
        tests = self._constant({each: rule.test for each, rule in check.rules.items()})
        is_kind = f"{value}.__class__ is {kinds}.get({name}, {self._constant(check.rest.kind)})"
        passes = f"{tests}.get({name}, {self._constant(check.rest.test)})({value})"
        self.line(depth, f"for {name}, {value} in {x}.items():")
        self._refuse(depth + 1, f"not ({is_kind} or {passes})")

    def _named(self, check: Map | MembersCheck | ValuesCheck, x: str, depth: int) -> None:
        if check.required:
            self._refuse(depth, f"not {self._constant(check.required)} <= {x}.keys()")
        if asks(check.names):
            self._each(x, check.names, depth)

    def _each(self, values: str, check: Check, depth: int) -> None:
        self._loops += 1
        if self._loops > MAX_LOOPS:
            raise UnwritableError("has too many lists in lists")
        name = self._name(None)
        self.line(depth, f"for {name} in {values}:")
        self.value(check, name, depth + 1, None)
        self._loops -= 1

    def _hand_out(self, path: Path, depth: int) -> None:
        """Write the lines that note whether a wanted value, and the wanted values inside it, are missing."""
        name, inside = self._wanted.variables[path], self._wanted.inside(path)
        if path in self._wanted.texts:
            self._refuse(depth, f"{name}.__class__ is not str")
            return
        bits = sum(self._wanted.bits.get(each, 0) for each in (path, *inside))
        if bits or inside:
            self.line(depth, f"if {name} is UNSET:")
            names = "".join(f"{self._wanted.variables[each]} = " for each in inside)
            self.line(depth + 1, f"m |= {bits}" if bits else "pass")
            if names:
                self.line(depth + 1, f"{names}UNSET")

    def _all_found(self, below: dict[str, Path]) -> None:
        if below:
            raise UnwritableError(f"says nothing of {'.'.join(next(iter(below.values())))}")

    def _refuse(self, depth: int, condition: str) -> None:
        self.line(depth, f"if {condition}:")
        self.line(depth + 1, "raise RefusedError")

    def _constant(self, value: Any) -> str:
        name = f"c{len(self._constants)}"
        self._constants[name] = value
        return name

    def _name(self, path: Path | None) -> str:
        """Return the variable of a wanted value, or a new one."""
        if path is not None:
            return self._wanted.variables[path]
        self._variables += 1
        return f"v{self._variables}"
