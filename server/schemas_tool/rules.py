"""The rules of compatibility: each with its name, why it is there, and which bump a break needs.

Place: compare → HERE; docs/SCHEMAS.md has the same table, and a test compares them.
Rules: a rule's name is a contract, since accepted breaks name it. Every keyword that can leave a gap has a rule.
Not here: proofs (contain).
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Rule(NamedTuple):
    """A rule. ``why`` is one sentence for people who change schemas."""

    name: str
    why: str
    bump: str = "major"


_KEYWORDS: Final[dict[str, Rule]] = {
    "type": Rule("type-narrowed", "Values of a type that was allowed are refused."),
    "enum": Rule("enum-narrowed", "A value that was allowed is not in the list any more, or a list was added."),
    "const": Rule("const-changed", "Only one value is left, and another one was allowed."),
    "minimum": Rule("minimum-raised", "Smaller numbers were allowed."),
    "exclusiveMinimum": Rule("minimum-raised", "Smaller numbers were allowed."),
    "maximum": Rule("maximum-lowered", "Larger numbers were allowed."),
    "exclusiveMaximum": Rule("maximum-lowered", "Larger numbers were allowed."),
    "multipleOf": Rule("multiple-of-narrowed", "Numbers between the steps were allowed."),
    "minLength": Rule("min-length-raised", "Shorter texts were allowed."),
    "maxLength": Rule("max-length-lowered", "Longer texts were allowed."),
    "pattern": Rule("pattern-changed", "Texts that the pattern does not match were allowed."),
    "format": Rule("format-changed", "Texts that are not of this format were allowed."),
    "required": Rule("property-required", "Events without the property were allowed."),
    "false": Rule("property-removed", "The property was allowed, and the schema takes no others any more."),
    "minProperties": Rule("min-properties-raised", "Objects with fewer properties were allowed."),
    "maxProperties": Rule("max-properties-lowered", "Objects with more properties were allowed."),
    "propertyNames": Rule("property-names-narrowed", "Properties of other names were allowed."),
    "patternProperties": Rule(
        "pattern-properties-changed", "The patterns decide differently what a property is judged by."
    ),
    "minItems": Rule("min-items-raised", "Shorter arrays were allowed."),
    "maxItems": Rule("max-items-lowered", "Longer arrays were allowed."),
    "uniqueItems": Rule("unique-items-added", "Arrays with equal items were allowed."),
    "contains": Rule("contains-changed", "Arrays without such an item were allowed."),
    "anyOf": Rule("any-of-narrowed", "Values outside all of the branches were allowed."),
    "oneOf": Rule("one-of-narrowed", "Values of none of the branches, or of several, were allowed."),
    "not": Rule("not-changed", "Values that are excluded now were allowed."),
    "if": Rule("condition-changed", "Values that do not meet the condition were allowed."),
    "dependencies": Rule("dependency-added", "The property was allowed without those that it needs now."),
    "open": Rule(
        "open-property-declared",
        "Events could hold anything under this name, since the schema took properties that it did not declare.",
    ),
    "unsupported": Rule(
        "keyword-unsupported", "The keyword belongs to a later draft, and nothing is known of it here."
    ),
    "depth": Rule("schema-too-complex", "The comparison was given up, as it would take too long."),
}
UNUSABLE: Final = Rule("schema-unusable", "Nothing can be said of a schema that cannot be read or compiled.")
TOO_SMALL: Final = Rule("version-too-small", "The number that was raised promises a smaller change than this one.")
TOO_LARGE: Final = Rule(
    "version-too-large", "Nothing breaks, and a new major version makes all readers look at it.", "minor"
)
EDITED: Final = Rule("released-file-changed", "Events of this version exist already, so that its file stays as it is.")
REMOVED: Final = Rule("released-file-removed", "Events of this version exist already, and could not be read any more.")
PRIVACY: Final = Rule("privacy-weakened", "More is stored of a value than its senders were told.")
WITHHELD: Final = Rule(
    "expectation-withheld", "Expectations judge events as they are stored, and the value is not.", "patch"
)
UNUSED: Final = Rule("accepted-unused", "An accepted break that never happens hides one that may come.", "patch")
EXPIRED: Final = Rule("accepted-expired", "The time is over for which the break was accepted.")
WMF_MISSING: Final = Rule("wmf-key-removed", "A key of the earlier version is not in the later one.")
WMF_CHANGED: Final = Rule("wmf-value-changed", "A value of the earlier version is another one in the later.")
WMF_REQUIRED: Final = Rule("wmf-required-changed", "The list of required properties is not the same set.")
WMF_ENUM: Final = Rule("wmf-enum-narrowed", "A value of the earlier list is not in the later one.")

ALL: Final = tuple(
    dict.fromkeys(
        (
            *_KEYWORDS.values(),
            *(UNUSABLE, TOO_SMALL, TOO_LARGE, EDITED, REMOVED, PRIVACY, WITHHELD, UNUSED, EXPIRED),
            *(WMF_MISSING, WMF_CHANGED, WMF_REQUIRED, WMF_ENUM),
        )
    )
)


def rule_of(keyword: str) -> Rule:
    """Return the rule of a keyword that left a gap."""
    return _KEYWORDS[keyword]
