"""Words that lint compares with: keywords of draft-07, and names that Hive reserves.

Place: lint.schema → HERE.
Rules: keywords that begin with ``x-`` are extensions of others, unless they are nearly ours.
Source: draft-07 (json-schema.org); Apache Hive, LanguageManual DDL, reserved keywords of 2.0 and later.
Not here: rules (lint.rules).
"""

from __future__ import annotations

import difflib
from typing import Final

_KEYWORDS: Final = (
    "$comment $id $ref $schema additionalItems additionalProperties allOf anyOf const contains contentEncoding "
    "contentMediaType default definitions dependencies description else enum examples exclusiveMaximum "
    "exclusiveMinimum format if items maxItems maxLength maxProperties maximum minItems minLength minProperties "
    "minimum multipleOf not oneOf pattern patternProperties properties propertyNames readOnly required then title "
    "type uniqueItems writeOnly"
)
_RESERVED: Final = (
    "all alter and array as authorization between bigint binary boolean both by case cast char column conf create "
    "cross cube current current_date current_timestamp cursor database date decimal delete describe distinct double "
    "drop else end exchange exists extended external false fetch float following for from full function grant group "
    "grouping having if import in inner insert int intersect interval into is join lateral left less like local "
    "macro map more none not null of on or order out outer over partialscan partition percent preceding preserve "
    "procedure range reads reduce revoke right rollup row rows select set smallint table tablesample then timestamp "
    "to transform trigger true truncate unbounded union uniquejoin update user using values varchar when where "
    "window with"
)
KEYWORDS: Final = frozenset(_KEYWORDS.split())
RESERVED: Final = frozenset(_RESERVED.split())
EXPECT: Final = "x-expect"
OWN_KEYWORDS: Final = (EXPECT, "x-privacy")
_LIKENESS: Final = 0.8  # mexLength, maxiumum and x-privcy are above it, labels such as "search" below.


def meant(keyword: str) -> str | None:
    """Return the keyword that an unknown one is probably meant to be."""
    own = difflib.get_close_matches(keyword.lower().replace("_", "-"), OWN_KEYWORDS, n=1, cutoff=_LIKENESS)
    found = own or difflib.get_close_matches(keyword, sorted(KEYWORDS), n=1, cutoff=_LIKENESS)
    return found[0] if found else None
