"""The rules of lint: each with its name, whether it fails, and why it is there.

Place: lint.schema, lint.title, lint.lint → HERE; docs/SCHEMAS.md has the same table, and a test compares them.
Rules: a rule's name is a contract, since skips name it. An error is something that is wrong, or that stored tables and
other validators read in another way; a note is advice.
Not here: how a rule is judged (lint.schema, lint.title).
"""

from __future__ import annotations

from typing import Final, NamedTuple


class LintRule(NamedTuple):
    """A rule. ``why`` is one sentence for people who change schemas."""

    name: str
    is_error: bool
    why: str


NAME: Final = LintRule("name-not-snake-case", True, "Columns of tables are in lower case, so that names would clash.")
RESERVED: Final = LintRule("name-reserved", False, "Hive reserves the name, so that each query has to quote it.")
MISSPELT: Final = LintRule("keyword-misspelt", True, "Validators pass over keywords that they do not know.")
UNKNOWN: Final = LintRule("keyword-unknown", False, "Validators pass over keywords that they do not know.")
UNION: Final = LintRule("type-union", True, "A column of a table has one type.")
UNTYPED: Final = LintRule("type-missing", True, "Without a type, a column cannot be made, and any value is valid.")
ITEMS: Final = LintRule("items-untyped", True, "Without a type for its items, an array has no type in a table.")
MAP: Final = LintRule("map-untyped", True, "An object needs properties, or a type for the values of any property.")
REQUIRED: Final = LintRule("required-undeclared", True, "A property that is required is not described.")
UNBOUNDED: Final = LintRule("text-unbounded", False, "Without maxLength, enum, format or pattern, any text is valid.")
FREE_FORMAT: Final = LintRule(
    "format-unchecked", False, "Not every validator asserts format; maxLength bounds the text."
)
UNSAFE: Final = LintRule("integer-unsafe", True, "JavaScript and others round integers beyond 2^53 - 1.")
DESCRIPTION: Final = LintRule("description-missing", False, "Nothing tells people what the property means.")
NULL: Final = LintRule("enum-with-null", True, "A column whose values are listed has one type, and null is of another.")
REGEX: Final = LintRule("pattern-unusable", True, "The pattern is no regular expression of ECMA-262.")
SLOW: Final = LintRule("pattern-slow", True, "Searching some texts for the pattern takes too long.")
ENGINES: Final = LintRule("pattern-differs", False, "Other engines read the pattern in another way, or refuse it.")
DEAR: Final = LintRule("judging-dear", False, "A large event is refused, because judging it takes too many steps.")
NO_EXAMPLE: Final = LintRule("example-missing", True, "Canary events and readers need an example.")
EXAMPLE: Final = LintRule("example-invalid", True, "The example is refused by its own schema.")
EXAMPLE_SCHEMA: Final = LintRule("example-of-other-schema", True, "The $schema of an example is the $id of its schema.")
EXPECTATION: Final = LintRule(
    "expectation-unusable", True, "An expectation that is wrong, or in a place where none is judged, judges no events."
)
EXPECTS_WITHHELD: Final = LintRule(
    "expectation-withheld", True, "Expectations judge events as they are stored, and the value is not."
)
ODD_EXAMPLE: Final = LintRule("example-unexpected", False, "The example fails an expectation of its own schema.")
TITLE: Final = LintRule(
    "title-mismatch", True, "Title and $id are the path of the file, by which events name a schema."
)
STALE: Final = LintRule("current-not-newest", True, "The current file describes an older version than the newest one.")
BROKEN: Final = LintRule("schema-broken", True, "The file cannot be read, or is no schema of draft-07.")
STREAM: Final = LintRule("stream-title-unknown", True, "A stream names a title that has no schema: its events fail.")
PRIVACY: Final = LintRule("privacy-unknown", True, "An annotation that cannot be obeyed makes a schema unusable.")
PRIVACY_TYPE: Final = LintRule("privacy-type", True, "The stored value has another type than the schema says.")
PRIVACY_REQUIRED: Final = LintRule(
    "privacy-required", False, "Stored events lack the property, and readers that validate refuse them."
)
SKIP: Final = LintRule("skip-unused", True, "A skip that covers nothing hides a finding that may come.")

ALL: Final = (
    *(NAME, RESERVED, MISSPELT, UNKNOWN, UNION, UNTYPED, ITEMS, MAP, REQUIRED, UNBOUNDED, FREE_FORMAT, UNSAFE),
    *(DESCRIPTION, NULL, REGEX, SLOW, ENGINES, DEAR, NO_EXAMPLE, EXAMPLE, EXAMPLE_SCHEMA, TITLE, STALE, BROKEN),
    *(EXPECTATION, EXPECTS_WITHHELD, ODD_EXAMPLE, STREAM, PRIVACY, PRIVACY_TYPE, PRIVACY_REQUIRED, SKIP),
)
