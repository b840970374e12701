"""The JSON-Schema-Test-Suite: the reference and ``check`` give its verdict on every test that the contract covers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.validators import suite
from validators import SchemaError
from validators.judge.reference import Refused, compile_schema

pytestmark = pytest.mark.slow(reason="it judges the whole official test suite twice")

# Formats that assert nothing here: the contract names those that do.
NOT_ASSERTED = {
    f"optional/format/{name}.json"
    for name in ("idn-email", "idn-hostname", "iri", "iri-reference", "json-pointer", "relative-json-pointer")
} | {"optional/format/uri-template.json"}

# Where we differ from an optional test, by the beginning of its name. docs/COMPATIBILITY.md gives the reasons.
EXCEPTIONS = {
    "optional/content.json: validation of string-encoded content based on media type: an invalid JSON document",
    "optional/content.json: validation of binary string-encoding: an invalid base64 string",
    "optional/content.json: validation of binary-encoded media type documents: a validly-encoded invalid JSON document",
    "optional/content.json: validation of binary-encoded media type documents: an invalid base64 string that is valid",
    "optional/cross-draft.json: refs to future drafts are processed as future drafts",
    "optional/ecmascript-regex.json: pattern with non-ASCII digits",
    "optional/ecmascript-regex.json: patternProperties with non-ASCII digits",
    "optional/ecmascript-regex.json: patterns always use unicode semantics with pattern",
    "optional/ecmascript-regex.json: patterns always use unicode semantics with patternProperties",
    "optional/float-overflow.json: all integers are multiples of 0.5, if overflow is handled",
    "optional/zeroTerminatedFloats.json: some languages do not distinguish between different types of numeric value",
}

REQUIRED = {"draft4": 610, "draft6": 829, "draft7": 913}  # In jsonschema 4.26; a newer one may have more.
FORMATS = {"draft4": 150, "draft6": 160, "draft7": 250}


def verdicts(compiler: suite.Compiler, case: suite.Case) -> set[bool | str]:
    """What the two ways say: one word when they agree."""
    try:
        validator = compiler.validator(case.schema)
    except SchemaError as error:
        return {str(error)}
    try:
        compile_schema(validator.schema, validator.uri)(case.value)
        reference = True
    except Refused:
        reference = False
    return {reference, validator.check(json.dumps(case.value).encode()) is None}


@pytest.mark.parametrize("draft", sorted(suite.DRAFTS))
def test_both_ways_give_the_verdict_of_the_suite(draft: str, tmp_path: Path) -> None:
    suite.require()
    compiler = suite.Compiler(tmp_path)
    counts = {"required": 0, "optional": 0, "optional/format": 0}
    wrong = {}
    for name in suite.files(draft):
        if name not in NOT_ASSERTED:
            for case in suite.cases(draft, name):
                counts[name.rpartition("/")[0] or "required"] += 1
                said = verdicts(compiler, case)
                if said != {case.is_valid}:
                    wrong[case.place] = said
    excepted = {place for place in wrong if any(place.startswith(each) for each in EXCEPTIONS)}
    unused = {each for each in EXCEPTIONS if not any(place.startswith(each) for place in excepted)}
    there = {each for each in unused if each.partition(": ")[0] in suite.files(draft)}

    assert {place: said for place, said in wrong.items() if place not in excepted} == {}
    assert there == set(), "no longer an exception: take it off the list"
    assert counts["required"] >= REQUIRED[draft]
    assert counts["optional/format"] >= FORMATS[draft]


@pytest.mark.parametrize("draft", sorted(suite.DRAFTS))
def test_a_format_that_is_not_asserted_accepts_every_text(draft: str, tmp_path: Path) -> None:
    suite.require()
    compiler = suite.Compiler(tmp_path)
    found = [case for name in sorted(NOT_ASSERTED & set(suite.files(draft))) for case in suite.cases(draft, name)]

    assert [case.place for case in found if verdicts(compiler, case) != {True}] == []
