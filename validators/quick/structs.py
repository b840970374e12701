"""Express a schema as a msgspec type, so that decoding an event validates it.

Place: bundle → HERE → generated → validator, which tries this quick way first and the reference (mend, reference) next.
Rules:
1. An event that is accepted is valid; one that is refused goes to the reference. So a type may be stricter than its
   schema: bounds are clamped to those that msgspec can hold, and ``1.0`` is no integer here.
2. Rules that no type can express (patterns, formats, unique items) become a check of the decoded value (checks). A
   keyword that neither expresses makes the whole schema reference-only, with the reason: no keyword of
   ``kinds.ASSERTING`` is ever skipped. Any other keyword asserts nothing in the reference either (mend).
3. msgspec skips the values of names that no field has: it checks their grammar and their escapes, but not their UTF-8
   (generated does) and not the size of numbers (which no rule of such a schema concerns).
4. Patterns are never part of a type: msgspec's own cost twice as much, and msgspec 0.22 frees a type too early that has
   one in a union. An optional field has a default, UNSET, which is not checked against its type.
Not here: what is wrong with a refused event (invalid).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from validators.formats import plain
from validators.formats.asserted import FORMATS
from validators.formats.text_test import TextTest, automatic, searching
from validators.load import dialect
from validators.load.bundle import target_of
from validators.quick import checks, generated, kinds, members, ranges
from validators.quick.checks import Check
from validators.regex import pattern
from validators.words.passes import Passes

MAX_SCHEMAS = (
    2_000  # Subschemas of one type, repeated for each reference: some 20 µs each. Real schemas have below 400.
)

MAX_AUTOMATA = 32  # Each takes 5 ms to build at most.
MAX_CHARACTERS = 1_048_576  # In all texts of an event.
MAX_SEARCH_NS = 300_000_000

T = TypeVar("T")

_FREE = Any


class Way(msgspec.Struct, frozen=True):
    """How events of a schema are judged, and why: by decoding alone, with a residual check, or by the reference."""

    kind: Literal["one-pass", "residual", "reference"]
    reason: str = ""


class TypeAndCheck(NamedTuple):
    """A type, and the check that its values still need."""

    type: Any
    check: Check = None


class Places(NamedTuple):
    """The members that a reader needs of the objects at these places (JSON pointers), by name.

    Members in ``wanted`` always get a field, even where the schema says nothing of them. Members in ``certain`` are
    filled in later for every event, those in ``possible`` for some; both may still be missing.
    """

    wanted: Mapping[str, frozenset[str]]
    certain: Mapping[str, frozenset[str]]
    possible: Mapping[str, frozenset[str]]


NO_PLACES = Places({}, {}, {})


def compile_check(whole: dict[str, Any], refer: Callable[[bytes], T]) -> tuple[Callable[[bytes], T | None], Way]:
    """Make the function that returns None for events that one pass finds valid, and the result of ``refer`` for all
    others."""
    made, way = make(Maker(whole))
    if made is None:
        return refer, way
    try:
        return generated.judge(msgspec.json.Decoder(made.type).decode, made.check, refer), way
    except generated.UnwritableError as error:
        return refer, Way("reference", str(error))


def make(maker: Maker) -> tuple[TypeAndCheck | None, Way]:
    """Return the type and check of the whole schema, or None with the reason."""
    try:
        made = maker.made_of(maker.whole, "")
        msgspec.json.Decoder(made.type)
    except kinds.UnsaidError as error:
        return None, Way("reference", str(error))
    except (
        TypeError,
        ValueError,
        ArithmeticError,
        NotImplementedError,
    ) as error:  # msgspec has its own limits on types.
        return None, Way("reference", f"msgspec: {error}"[:500])
    except RecursionError:
        return None, Way("reference", "is nested too deeply")
    if maker.residual:
        return made, Way("residual", f"checked besides the type: {', '.join(sorted(maker.residual))}")
    return made, Way("one-pass")


class Maker:
    """Makes types and checks: every method returns a type and a check that together accept no value which the schema
    refuses.

    ``place`` is a JSON pointer. ``residual`` collects the keywords that became checks, ``filled`` the members of
    ``places.certain`` and ``places.possible`` with their schema and the type that was made of it.
    """

    def __init__(self, whole: dict[str, Any], places: Places = NO_PLACES) -> None:
        self.whole = whole
        self.residual: set[str] = set()
        self.filled: list[tuple[str, str, Any, TypeAndCheck]] = []
        self._places = places
        self._schemas = 0
        self._patterns = 0
        self._open: set[str] = set()
        self._by_kind: dict[str, Callable[[dict[str, Any], str], TypeAndCheck]] = {
            "array": self._array,
            "boolean": lambda _schema, _place: TypeAndCheck(bool),
            "integer": lambda schema, place: TypeAndCheck(kinds.number(int, ranges.of_integers(schema), place)),
            "null": lambda _schema, _place: TypeAndCheck(type(None)),
            "number": self._int_or_float,
            "object": self._object,
            "string": self._string,
        }

    def made_of(self, schema: Any, place: str) -> TypeAndCheck:
        self._schemas += 1
        if self._schemas > MAX_SCHEMAS:
            raise kinds.UnsaidError(f"consists of more than {MAX_SCHEMAS} schemas")
        if kinds.is_free(schema):
            return TypeAndCheck(_FREE)
        if schema is False:
            raise kinds.unsaid(place, "false")
        if "$ref" in schema:
            return self._reference(schema["$ref"], place)
        kinds.refuse(schema, kinds.OF_ANYTHING, place)
        if "enum" in schema or "const" in schema:
            return TypeAndCheck(kinds.literal(schema, place))
        if "type" not in schema:
            raise kinds.unsaid(place, f"{min(kinds.ASSERTING & schema.keys())} without type")
        named = {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])
        if "number" in named:
            named.discard("integer")
        parts = [self._by_kind[kind](schema, place) for kind in sorted(named)]
        if len(parts) == 1:
            return parts[0]
        choice = checks.Choice(tuple((_class_of(part.check), part.check) for part in parts if checks.asks(part.check)))
        return TypeAndCheck(
            functools.reduce(operator.or_, [part.type for part in parts]), choice if choice.parts else None
        )

    def _reference(self, ref: str, place: str) -> TypeAndCheck:
        if ref in self._open or ref == "#":
            raise kinds.unsaid(place, "$ref to what it is inside")
        self._open.add(ref)
        made = self.made_of(target_of(self.whole, ref), place)
        self._open.remove(ref)
        return made

    def _int_or_float(self, schema: dict[str, Any], place: str) -> TypeAndCheck:
        kinds.refuse(schema, {"multipleOf"}, place)
        # Two types are needed: a type of floats alone would round a large integer before it is compared.
        whole = kinds.number(int, ranges.of_integers(schema), place)
        return TypeAndCheck(whole | kinds.number(float, ranges.of_floats(schema), place))

    def _string(self, schema: dict[str, Any], place: str) -> TypeAndCheck:
        tests: list[TextTest] = []
        name = schema.get("format")
        if name in FORMATS:
            tests.append(plain.TESTS.get(name) or TextTest(FORMATS[name]))
            self.residual.add("format")
        if "pattern" in schema:
            _refuse_dear(schema, place)
            tests.append(self._pattern(schema["pattern"]))
            self.residual.add("pattern")
        made = kinds.limited(str, kinds.sizes_of(schema, "minLength", "maxLength"))
        return TypeAndCheck(made, checks.Text(tuple(tests)) if tests else None)

    def _pattern(self, text: str) -> TextTest:
        self._patterns += 1
        return (automatic(text) if self._patterns <= MAX_AUTOMATA else None) or searching(text)

    def _array(self, schema: dict[str, Any], place: str) -> TypeAndCheck:
        kinds.refuse(schema, {"contains"}, place)
        items = schema.get("items", True)
        if isinstance(items, list):
            raise kinds.unsaid(place, "items as a list")
        inner = self.made_of(items, f"{place}/items")
        is_unique = schema.get("uniqueItems") is True and schema.get("maxItems", 2) > 1
        if is_unique:
            if not kinds.is_hashable(items):
                raise kinds.unsaid(place, "uniqueItems of other items than texts or integers")
            self.residual.add("uniqueItems")
        made = kinds.limited(list[inner.type], kinds.sizes_of(schema, "minItems", "maxItems"))  # type: ignore[name-defined]
        return TypeAndCheck(made, checks.Items(inner.check, is_unique))

    def _object(self, schema: dict[str, Any], place: str) -> TypeAndCheck:
        kinds.refuse(schema, {"dependencies", "patternProperties"}, place)
        rest = schema.get("additionalProperties", True)
        sizes = kinds.sizes_of(schema, "minProperties", "maxProperties")
        is_counted = bool(sizes) or not kinds.is_free(schema.get("propertyNames", True))
        is_named = bool(schema.get("properties") or schema.get("required")) or rest is False
        is_mapped = rest is not False and not kinds.is_free(rest)
        if not is_named and (is_counted or is_mapped):
            return self._map(schema, rest, sizes, place)
        if is_counted or is_mapped:
            return self._members(schema, rest, sizes, place)
        fields, asked = self._fields(schema, place, rest is False)
        struct = kinds.struct(tuple(fields), rest is False)
        return TypeAndCheck(struct, checks.Object(struct, tuple(asked)))

    def _map(self, schema: dict[str, Any], rest: Any, sizes: dict[str, int], place: str) -> TypeAndCheck:
        names = self._names(schema.get("propertyNames", True), place)
        inner = self.made_of(rest, f"{place}/additionalProperties")
        for name in self._possible(place):
            if sizes or not _holds(names, name):
                raise kinds.unsaid(place, "minProperties, maxProperties or propertyNames of what is filled in")
            self.filled.append((place, name, rest, inner))
        return TypeAndCheck(kinds.limited(dict[names.type, inner.type], sizes), checks.Map(names.check, inner.check))  # type: ignore[name-defined]

    def _members(self, schema: dict[str, Any], rest: Any, sizes: dict[str, int], place: str) -> TypeAndCheck:
        """Make an object with rules for other members than those in ``properties``, or for their number."""
        self.residual.add("additionalProperties, or sizes, next to properties")
        if self._possible(place) or self._places.wanted.get(place):
            raise kinds.unsaid(place, "additionalProperties, or sizes, next to properties to hand out or fill in")
        names = self._names(schema.get("propertyNames", True), place)
        required = frozenset(schema.get("required", ()))
        properties = schema.get("properties", {})
        made = {name: self._made(each, place + dialect.step("properties", name)) for name, each in properties.items()}
        other = None if rest is False else self._made(rest, f"{place}/additionalProperties")
        if other is not None and all(each == other for each in made.values()):  # Properties say what the rest says.
            check: Check = checks.Map(names.check, other.check, required)
            return TypeAndCheck(kinds.limited(dict[names.type, other.type], sizes), check)  # type: ignore[name-defined]
        rules = members.rules(Passes(self.whole), properties, rest)
        if rules is not None:
            check = checks.ValuesCheck(*rules, names.check, required)
            return TypeAndCheck(kinds.limited(dict[names.type, Any], sizes), check)  # type: ignore[name-defined]
        judges = {name: members.judge(each) for name, each in made.items()}
        last = members.refuse_any if rest is False else members.judge(other)
        check = checks.MembersCheck(judges, last, names.check, required)
        return TypeAndCheck(kinds.limited(dict[names.type, msgspec.Raw], sizes), check)  # type: ignore[name-defined]

    def _made(self, schema: Any, place: str) -> TypeAndCheck | None:
        """Return the type and check of a member; None where there are no rules."""
        return None if kinds.is_free(schema) else self.made_of(schema, place)

    def _fields(
        self, schema: dict[str, Any], place: str, is_closed: bool
    ) -> tuple[list[tuple[str, Any, bool]], list[checks.Field]]:
        """Return for each field its name, its type and whether it is required; and the checks of the fields.

        In an open object, a member without any rule needs no field, unless it is wanted.
        """
        properties: dict[str, Any] = schema.get("properties", {})
        required = dict.fromkeys(schema.get("required", ()))
        wanted = self._places.wanted.get(place, frozenset())
        possible = self._possible(place)
        found: list[tuple[str, TypeAndCheck, bool]] = []
        for name in dict.fromkeys((*properties, *required, *sorted(wanted | possible))):
            each = properties.get(name, not is_closed)
            below = place + dialect.step("properties", name)
            is_needed = self._is_needed(name, each, place, name in required)
            if is_closed or is_needed or name in wanted or name in possible or not kinds.is_free(each):
                made = self.made_of(each, below)
                found.append((name, made, is_needed))
                if name in possible:
                    self.filled.append((place, name, each, made))
        fields = [(name, made.type, is_needed) for name, made, is_needed in found]
        asked = [
            checks.Field(name, f"f{at}", not is_needed, made.check) for at, (name, made, is_needed) in enumerate(found)
        ]
        return fields, asked

    def _possible(self, place: str) -> frozenset[str]:
        return self._places.possible.get(place, frozenset())

    def _is_needed(self, name: str, each: Any, place: str, is_required: bool) -> bool:
        """Whether the event must already have this member to be valid after missing members are filled in."""
        if name in self._places.certain.get(place, ()):
            return False
        below = place + dialect.step("properties", name)
        if not self._has_possible(below):
            return is_required
        certain = self._places.certain.get(below, frozenset())
        return not self._may_be_made(each, below) or (is_required and not certain)

    def _may_be_made(self, schema: Any, place: str) -> bool:
        """Whether an absent object becomes valid when it is made of the members that will be filled in."""
        while isinstance(schema, dict) and "$ref" in schema:
            schema = target_of(self.whole, schema["$ref"])
        if not isinstance(schema, dict):
            return True
        if not set(schema.get("required", ())) <= self._places.certain.get(place, frozenset()):
            return False
        return all(
            self._may_be_made(each, below)
            for name, each in schema.get("properties", {}).items()
            if self._has_possible(below := place + dialect.step("properties", name))
        )

    def _has_possible(self, place: str) -> bool:
        """Whether a member may be filled in at this place or inside it."""
        return any(other == place or other.startswith(f"{place}/") for other in self._places.possible)

    def _names(self, schema: Any, place: str) -> TypeAndCheck:
        if kinds.is_free(schema):
            return TypeAndCheck(str)
        if schema is False or schema.get("type", "string") != "string":
            raise kinds.unsaid(place, "propertyNames")
        kinds.refuse(schema, kinds.ASSERTING - kinds.OF_STRINGS - {"type"}, f"{place}/propertyNames")
        return self._string(schema, place)


def _refuse_dear(schema: dict[str, Any], place: str) -> None:
    """Leave a pattern that is slow in some texts to the reference, which counts steps, if they may be long or many."""
    is_one = "/items" not in place and "/additionalProperties" not in place
    characters = min(schema.get("maxLength", MAX_CHARACTERS), MAX_CHARACTERS) if is_one else MAX_CHARACTERS
    if pattern.ns_per_character(schema["pattern"]) * characters > MAX_SEARCH_NS:
        raise kinds.unsaid(place, "a pattern that may take long")


def _holds(made: TypeAndCheck, text: str) -> bool:
    try:
        judge = generated.judge_part(msgspec.json.Decoder(made.type).decode, made.check)
        return judge(msgspec.json.encode(text))
    except generated.REFUSALS:
        return False


def _class_of(check: Check) -> type:
    """Return the Python class of the values that a check judges."""
    match check:
        case checks.Text():
            return str
        case checks.Items():
            return list
        case checks.Object():
            return check.type
    return dict
