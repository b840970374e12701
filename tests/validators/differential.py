"""Put schemas and events before three judges, and keep count of what they say.

Place: test_differential runs a seeded part of it, tests/fuzz as much as it is given time for.
Rule: every source takes a seed and gives the same cases for it, so any disagreement can be seen again.
Not here: the judges (judges), what is put before them (generated, mutations, real).
"""

from __future__ import annotations

import json
import random
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, reject, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyStrategyDefinition, HypothesisWarning, InvalidArgument, Unsatisfiable
from hypothesis_jsonschema import from_schema
from jsonschema import ValidationError

from tests.validators.generated import Schemas, Values
from tests.validators.judges import Disagreement, Judges
from tests.validators.mutations import mutations, singles
from tests.validators.real import corpus_versions
from tests.validators.test_agreement import SCHEMAS
from validators import SchemaError

MAX_SAMPLES = 3  # Of each kind of disagreement, the shortest.
SCHEMAS_A_ROUND = 10  # Of Hypothesis.
EVENTS = 4  # For each generated schema, each with as many mutations.


class Tally:
    """How many cases there were, and who disagreed."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.samples: dict[str, list[str]] = {}

    def ask(self, judges: Judges, raws: Iterable[bytes]) -> None:
        """Put documents before the judges of one schema."""
        before = judges.counts.copy()
        for raw in raws:
            disagreement = judges.ask(raw)
            if disagreement is not None:
                self.note(disagreement)
        self.counts += judges.counts - before

    def judges(self, schema: dict[str, Any]) -> Judges | None:
        """The judges of a schema; None, and noted, where one side cannot compile it."""
        self.counts["schemas"] += 1
        try:
            made = Judges(schema)
            self.counts["schemas in one pass"] += made.validator.way.kind != "reference"
            return made
        except (SchemaError, ValueError) as error:
            self.note(Disagreement(f"not compiled: {type(error).__name__}", f"{json.dumps(schema)[:3_000]}\n  {error}"))
            return None

    def note(self, disagreement: Disagreement) -> None:
        """Count a disagreement, and keep it when it is among the shortest of its kind."""
        self.kinds[disagreement.kind] += 1
        kept = self.samples.setdefault(disagreement.kind, [])
        kept.append(disagreement.text)
        kept.sort(key=len)
        del kept[MAX_SAMPLES:]

    def report(self) -> str:
        """Counts in one line, then the disagreements by kind."""
        lines = [", ".join(f"{count:,} {name}" for name, count in self.counts.most_common())]
        for kind, count in self.kinds.most_common():
            lines += [f"{count:,} x {kind}", *(f"  {text}" for text in self.samples[kind])]
        return "\n".join(lines)


def ask_generated(number: int, tally: Tally) -> None:
    """One schema of our own making, some values for it, and each of them with one thing changed, several times."""
    rng = random.Random(number)
    schema = Schemas(rng).schema()
    values = Values(schema, rng)
    judges = tally.judges(schema)
    if judges is not None:
        for _ in range(EVENTS):
            event = values.value()
            tally.ask(judges, [json.dumps(event).encode(), *mutations(schema, event, rng, EVENTS)])


def ask_real(corpus: Path, tally: Tally, share: float, number: int, is_over: Callable[[], bool] = bool) -> None:
    """Every event of the corpus, and a share of its single-field mutations: 1.0 is all of them."""
    rng = random.Random(number)
    for validator, events in corpus_versions(corpus):
        if is_over():
            return
        judges = tally.judges(validator.schema)
        if judges is not None:
            unique = {json.dumps(event): event for event in events}
            tally.ask(judges, [text.encode() for text in unique])
            tally.counts["real events"] += len(unique)
            tally.counts["real events accepted"] += judges.counts["accepted"]
            for event in unique.values():
                tally.ask(judges, (raw for raw in singles(validator.schema, event) if rng.random() < share))


def ask_hypothesis(number: int, tally: Tally) -> None:
    """Some schemas at random, values that hypothesis-jsonschema makes of them, and these with one thing changed."""

    @seed(number)
    @settings(
        max_examples=SCHEMAS_A_ROUND,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**40).map(_generated) | SCHEMAS.map(_with_definition), st.data(), st.integers(0, 2**40))
    def ask(schema: dict[str, Any], data: st.DataObject, of_mutations: int) -> None:
        try:
            values = data.draw(st.lists(from_schema(schema), min_size=1, max_size=4))
        except (AssertionError, InvalidArgument, ValidationError, RecursionError):
            tally.counts["schemas that hypothesis-jsonschema cannot read"] += 1
            reject()
        judges = tally.judges(schema)
        if judges is not None:
            rng = random.Random(of_mutations)
            for value in values:
                tally.ask(judges, [json.dumps(value).encode(), *mutations(schema, value, rng, 2 * EVENTS)])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HypothesisWarning)  # Of patterns that Python reads otherwise.
        try:
            ask()
        except (FlakyStrategyDefinition, Unsatisfiable):  # It has caches, so it does not always draw the same.
            tally.counts["rounds that hypothesis-jsonschema cut short"] += 1


def _generated(number: int) -> dict[str, Any]:
    return _with_definition(Schemas(random.Random(number)).schema())


def _with_definition(schema: dict[str, Any]) -> dict[str, Any]:
    """It reads no schema that refers to itself."""
    return schema | {"definitions": {"d": {"type": "integer"}}}
