"""Three judges say the same of ten thousand cases; `make fuzz` puts a million before them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.validators.differential import Tally, ask_generated, ask_hypothesis, ask_real
from tests.validators.generated import Schemas, Values
from tests.validators.judges import Judges
from tests.validators.mutations import singles

pytestmark = pytest.mark.slow(reason="it compares judges on thousands of generated schemas and events")


def test_they_agree_on_schemas_made_of_the_keywords_of_real_ones() -> None:
    tally = Tally()
    for number in range(300):
        ask_generated(number, tally)

    assert tally.kinds == {}, tally.report()
    assert tally.counts["cases"] >= 6_000
    assert tally.counts["accepted in one pass"] >= 1_000


def test_they_agree_on_what_hypothesis_makes_of_schemas() -> None:
    tally = Tally()
    for number in range(10):
        ask_hypothesis(number, tally)

    assert tally.kinds == {}, tally.report()
    assert tally.counts["cases"] >= 1_000
    assert tally.counts["accepted in one pass"] >= 100


def test_they_agree_on_real_events_with_one_thing_changed(corpus: Path) -> None:
    tally = Tally()
    ask_real(corpus, tally, share=0.01, number=4)

    assert tally.kinds == {}, tally.report()
    assert tally.counts["real events accepted"] == tally.counts["real events"] > 100
    assert tally.counts["cases"] >= 3_000
    assert tally.counts["accepted in one pass"] >= 1_000


def test_the_same_seed_gives_the_same_cases() -> None:
    first, second = Tally(), Tally()
    ask_generated(7, first)
    ask_generated(7, second)

    assert first.counts == second.counts
    assert Schemas(random.Random(7)).schema() == Schemas(random.Random(7)).schema()


def test_a_judge_that_errs_is_found_out() -> None:
    judges = Judges({"type": "integer", "maximum": 5})
    judges.validator = Judges({}).validator
    tally = Tally()
    tally.ask(judges, [b"5", b"6", b"{"])

    assert tally.kinds == {"check says True, the reference False": 1}
    assert "maximum" in tally.report()


def test_every_place_of_an_event_is_changed_in_every_way() -> None:
    schema = {
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"type": "integer", "minimum": 3},
            "b": {"type": "string", "maxLength": 2, "format": "date-time"},
            "c": {"type": "boolean"},
        },
    }
    made = list(singles(schema, {"a": 5, "b": "x"}))

    assert len(made) > 300
    for text in (
        *('{"a":2,"b":"x"}', '{"a":null,"b":"x"}', '{"b":"x"}', '{"a":5}', '{"a":5.0,"b":"x"}', '{"a":-0,"b":"x"}'),
        *('{"a":18446744073709551616,"b":"x"}', '{"a":5,"b":"ééé"}', '{"a":5,"b":"2016-12-31T23:59:60Z"}'),
        *('{"a":5,"b":"\\ud800"}', '{"a":5,"b":"\\u0000"}', '{"a":5,"b":"\x00"}', '{"a":5,"b":"\\u0078"}'),
        *('{"a":{},"a":5,"b":"x"}', '{"a":5,"b":"x","a":{}}', '{"a":5,"b":"x","undeclared":1}'),
        *('{"a":5,"b":"x","c":null}', '{"\\u0061":5,"b":"x"}', '{"a":5,"b":"2020-01-01T00:00:00+0100"}'),
    ):
        assert text.encode() in made, text


def test_values_are_mostly_valid() -> None:
    valid = total = 0
    for number in range(100):
        rng = random.Random(number)
        schema = Schemas(rng).schema()
        values = Values(schema, rng)
        check = Judges(schema).validator.check
        for _ in range(4):
            total += 1
            valid += check(json.dumps(values.value()).encode()) is None

    assert valid > 0.3 * total
