"""What is handed any bytes at all: every schema's ``check``, and the way of a whole request body up to the sink's door.

Place: havoc (seeded, random) and coverage (atheris) call ``Target.run``.
Rule: it raises for whatever must not happen; the input that did it is the caller's to keep.
Not here: where the bytes come from.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import msgspec

from server.boot.generation import read
from server.intake.arrival import Arrival
from server.intake.forms.piece import Piece
from server.intake.pipeline import Pipeline, make_pipeline
from server.intake.text.cut import split
from server.intake.verdict import INVALID_TYPES
from tests.server.intake.conftest import STREAMS, write
from tests.validators.generated import Schemas, Values
from tests.validators.judges import Judges
from validators import Validator, Violation

SCHEMAS = 24  # Generated ones. The first two bytes of an input choose the schema and the way.
MAX_EVENTS = 1_000  # Of one body: the server has such a bound itself.

_RECEIVED_MS, _RECEIVED_DT = 1_767_323_045_678, b'"2026-01-02T03:04:05.678Z"'
_HEADERS = {b"x-request-id": b"r", b"user-agent": b'\xff\x00"quoted" \\'}


class Target:
    """Validators and pipelines, made once. ``directory`` is the caller's, and empty."""

    def __init__(self, directory: Path) -> None:
        settings = write(directory)
        self._pipelines: list[Pipeline] = []
        for profile in ("internal", "external"):  # Which differ in what they think of a name that occurs twice.
            generation = read(settings, [f"profile={profile}", "intake.error_stream="])
            self._pipelines.append(make_pipeline(generation.config, generation.schemas.find, generation.snapshot.find))
        self._titles = [(name, str(each["schema_title"])) for name, each in STREAMS.items() if not name.startswith("/")]
        self.validators: list[Validator] = []
        self.seeds: list[bytes] = []
        for number in range(SCHEMAS):
            rng = Random(number)
            schema = Schemas(rng).schema()
            values = Values(schema, rng)
            self.validators.append(Judges(schema).validator)
            self.seeds += [bytes([number, 0]) + json.dumps(values.value()).encode() for _ in range(2)]
        for at, (stream, title) in enumerate(self._titles):
            event = {
                "$schema": f"/{title}/1.0.0",
                "meta": {"stream": stream, "dt": "2020-01-01T00:00:00Z"},
                "test": "x",
            }
            text = json.dumps(event).encode()
            self.seeds += [bytes([at, 1]) + text, bytes([at, 2]) + b"[%b, %b]" % (text, text), bytes([at, 3]) + b"{}"]

    def run(self, raw: bytes) -> None:
        """Hand it over. Raises AssertionError, or whatever escaped."""
        chosen, way, body = raw[0] if raw else 0, raw[1] if len(raw) > 1 else 0, raw[2:]
        self._check(self.validators[chosen % len(self.validators)], body)
        self._receive(body, self._titles[chosen % len(self._titles)], way)

    @staticmethod
    def _check(validator: Validator, body: bytes) -> None:
        problems = validator.check(body)
        if problems is not None:
            assert problems
            assert len(msgspec.json.encode(problems)) < 1_000_000
            for problem in problems:
                assert isinstance(problem, Violation)
                assert problem.keyword != "schema", "refused without words"

    def _receive(self, body: bytes, chosen: tuple[str, str], way: int) -> None:
        found = split(body)
        if not isinstance(found, list):
            assert found
            return
        arrival = Arrival(_RECEIVED_MS, _RECEIVED_DT, _HEADERS, lambda _: "192.0.2.7")
        if way & 2:  # What the query names is filled in, so that any object goes the whole way.
            arrival.stream = json.dumps(chosen[0]).encode()
            arrival.schema_uri = json.dumps(f"/{chosen[1]}/1.0.0").encode()
        pipeline = self._pipelines[way & 1]
        for index, raw in enumerate(found[:MAX_EVENTS]):
            if isinstance(raw, Piece):
                continue
            event = pipeline.prepare(index, raw, arrival)
            if event.verdict is not None:
                assert event.verdict.error_type in INVALID_TYPES, event.verdict
                continue
            msgspec.json.decode(event.value, type=dict[str, msgspec.Raw])
            assert event.topic
            assert event.route is not None
            assert (
                event.observed is not None
                or event.route.validator is None
                or event.route.validator.check(event.value) is None
            )
