"""A schema is compiled up to the bounds, refused beyond them with the reason, and no refusal hurts who asked.

The seconds and megabytes are those of `python -m bench compiling`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import large_schemas
from validators import Registry, SchemaError

pytestmark = pytest.mark.slow(reason="it compiles the costliest schemas that are allowed")

CODE = "the code made of it is longer than 300,000"
VALUES = "holds more than 20,000 values"
BYTES = "is larger than 262,144 bytes"
DEEP = "is nested deeper than 100 levels"
PATTERNS = "its patterns would take too long to compile"
SAME = "more than 2,000 of its schemas judge one and the same value"
REFERENCES = "has more than 1000 references"
NO_PATTERN = r"should match format \"regex\""

BOUNDS = [
    ("properties", 1_550, 1_650, CODE),
    ("properties, many keywords", 180, 310, CODE),
    ("properties, long names", 90, 120, CODE),
    ("a long name", 400, 5_000, CODE),
    ("formats", 390, 620, CODE),
    ("types", 1_200, 1_260, CODE),
    ("required", 19_000, 20_000, VALUES),
    ("nested objects", 49, 51, DEEP),
    ("nested arrays", 99, 101, DEEP),
    ("nested defaults", 49, 51, DEEP),
    ("enum of texts", 18_000, 19_500, BYTES),
    ("enum of numbers", 3_600, 3_800, CODE),
    ("enum of objects", 8_000, 12_000, VALUES),
    ("enum of arrays, draft-04", 4_000, 8_000, VALUES),
    ("enums", 650, 700, CODE),
    ("deep enum", 2_400, 3_600, CODE),
    ("const of an object", 4_000, 8_000, VALUES),
    ("patterns", 380, 2_000, PATTERNS),
    ("patterns of classes", 150, 500, PATTERNS),
    ("pattern of classes", 400, 500, PATTERNS),
    ("pattern of unlike classes", 250, 500, PATTERNS),
    ("long pattern", 10_000, 10_001, NO_PATTERN),
    ("alternatives in a pattern", 1_800, 2_500, NO_PATTERN),
    ("groups in a pattern", 3_300, 3_400, NO_PATTERN),
    ("nested groups in a pattern", 90, 2_000, "cannot be run: maximum recursion depth exceeded"),
    ("choices in a pattern", 1_600, 1_700, NO_PATTERN),
    ("automata", 150, 400, PATTERNS),
    ("large automata", 4, 60, PATTERNS),
    ("patternProperties", 800, 3_000, CODE),
    ("references to one", 1_000, 1_001, REFERENCES),
    ("references to many", 890, 940, CODE),
    ("references to names", 890, 940, CODE),
    ("references to what holds others", 8, 60, CODE),
    ("references to references", 98, 101, "has references to references, more than 100 deep"),
    ("references that multiply in place", 8, 30, SAME),
    ("references that multiply in defaults", 12, 40, "its defaults hold themselves, or come to more than 1,048,576"),
    ("anyOf", 550, 2_000, SAME),
    ("oneOf", 380, 600, CODE),
    ("allOf", 520, 2_000, SAME),
    ("not", 520, 2_000, SAME),
    ("if", 550, 2_000, SAME),
    ("contains", 310, 500, CODE),
    ("unions in unions", 48, 52, DEEP),
    ("items", 2_080, 2_150, CODE),
    ("dependencies", 1_950, 2_020, CODE),
    ("dependent schemas", 970, 2_000, SAME),
    ("defaults", 1_550, 1_650, CODE),
    ("a long description", 258_000, 263_000, BYTES),
    ("examples", 9_900, 10_100, VALUES),
    ("equal names", 4_700, 5_100, CODE),
    ("documents", 300, 1_001, REFERENCES),
    ("names in another document", 10, 11, "more than 10 references to names"),
]


def registry_of(directory: Path, kind: str, n: int) -> Registry:
    for name, text in large_schemas.documents(kind, n).items():
        file = directory / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Registry([str(directory)], allow_insecure=True)


@pytest.mark.parametrize(("kind", "n"), [row[:2] for row in BOUNDS], ids=[row[0] for row in BOUNDS])
def test_a_schema_at_its_bound_is_compiled(tmp_path: Path, kind: str, n: int) -> None:
    validator = registry_of(tmp_path, kind, n).validator(large_schemas.URI)

    assert validator.check(b"nothing") is not None


@pytest.mark.parametrize(
    ("kind", "n", "reason"), [(row[0], row[2], row[3]) for row in BOUNDS], ids=[row[0] for row in BOUNDS]
)
def test_beyond_its_bound_it_is_refused_with_the_reason(tmp_path: Path, kind: str, n: int, reason: str) -> None:
    with pytest.raises(SchemaError, match=reason) as caught:
        registry_of(tmp_path, kind, n).validator(large_schemas.URI)

    assert caught.value.error_type == "schema_unavailable"


def test_every_kind_that_is_measured_has_its_bound_here() -> None:
    without_a_bound = {"unclosed classes in a pattern"}  # No pattern at all, however short.

    assert {row[0] for row in BOUNDS} | without_a_bound == set(large_schemas.NAMES)


def test_a_registry_that_refused_a_schema_compiles_the_next(tmp_path: Path) -> None:
    registry = registry_of(tmp_path, "properties", 100_000)
    (tmp_path / "small").mkdir()
    (tmp_path / "small/1.0.0.yaml").write_text("{type: object}")

    with pytest.raises(SchemaError):
        registry.validator(large_schemas.URI)
    assert registry.validator("/small/1.0.0").check(b"{}") is None


def test_an_enum_of_many_texts_holds_other_values_too(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    values = ", ".join(f"v{i}" for i in range(100))
    (tmp_path / "many/1.0.0.yaml").write_text(f"{{enum: [{values}, null, 5, [v1]]}}")
    check = Registry([str(tmp_path)]).validator("/many/1.0.0").check

    assert [check(raw) for raw in (b'"v0"', b'"v99"', b"null", b"5.0", b'["v1"]')] == [None] * 5
    assert None not in [check(raw) for raw in (b'"v100"', b'""', b"6", b"true", b'["v2"]', b"{}")]
