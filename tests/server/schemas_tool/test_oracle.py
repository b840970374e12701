"""Verdicts are compared with every small value, with two other validators, and with another prover."""

from __future__ import annotations

from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import given, note

from tests.server.schemas_tool.pairs import told
from tests.server.schemas_tool.universe import VALUES, pairs, rewritings

pytestmark = pytest.mark.slow(reason="generated pairs of schemas, each tried with hundreds of values")


def judge(schema: dict[str, Any]) -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator(schema, validate_formats=True)


@given(pairs())
def test_no_break_goes_unreported(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    old, new = pair
    before, after = judge(old), judge(new)
    found = told(old, new)
    broken = [value for value in VALUES if before.is_valid(value) and not after.is_valid(value)]
    note(f"broken: {broken[:3]}")

    assert found or not broken
    contains = jsonschema_rs.canonicalize(new, draft=7, validate_formats=True).covers(
        jsonschema_rs.canonicalize(old, draft=7, validate_formats=True)
    )
    note(f"jsonschema-rs: {contains}")
    shown = [each.witness for each in found if each.witness is not None]
    assert found or contains is not jsonschema_rs.canonical.Containment.NO
    assert not shown or contains is not jsonschema_rs.canonical.Containment.YES
    checker = jsonschema.Draft7Validator.FORMAT_CHECKER
    for witness in shown:
        assert jsonschema.Draft7Validator(old, format_checker=checker).is_valid(witness)
        assert not jsonschema.Draft7Validator(new, format_checker=checker).is_valid(witness)


@given(rewritings())
def test_the_same_written_in_another_way_is_proved_to_be_the_same(pair: tuple[dict[str, Any], dict[str, Any]]) -> None:
    old, new = pair

    assert told(old, new) == []
    assert told(new, old) == []
