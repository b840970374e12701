"""The corpus: real schema versions, each with its example events and those of real streams."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from validators import Registry, Validator


def corpus_versions(corpus: Path) -> Iterator[tuple[Validator, list[Any]]]:
    """Every version in the order of its file, with its events."""
    registry = Registry([str(corpus / "jsonschema")])
    events: dict[str, list[Any]] = {}
    for name in ("events-routed.ndjson", "events-old-versions.ndjson"):
        for line in (corpus / name).read_bytes().splitlines():
            events.setdefault(json.loads(line)["$schema"], []).append(json.loads(line))
    for file in sorted((corpus / "jsonschema").rglob("*.yaml")):
        if re.fullmatch(r"\d+\.\d+\.\d+", file.stem):
            uri = f"/{file.relative_to(corpus / 'jsonschema').as_posix().removesuffix('.yaml')}"
            validator = registry.validator(uri)
            yield validator, [*validator.schema.get("examples", []), *events.get(uri, [])]
