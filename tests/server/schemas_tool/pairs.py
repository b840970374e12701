"""Compare two schemas that are written in a test."""

from __future__ import annotations

from typing import Any, NamedTuple

from server.schemas.judges import bundle_of
from server.schemas_tool.proof.contain import Proof
from server.schemas_tool.proof.witness import Search
from server.schemas_tool.rules import rule_of


class Told(NamedTuple):
    """What is said of one gap; a witness of None means that it is unknown."""

    rule: str
    where: tuple[str | int, ...]
    place: tuple[str | int, ...]
    witness: Any


def told(old: Any, new: Any) -> list[Told]:
    """Return what a change from ``old`` to ``new`` breaks for readers."""
    before, after = bundle_of(old, "/test/1.0.0", []), bundle_of(new, "/test/1.1.0", [])
    search = Search(before, after)
    return [
        Told(rule_of(gap.keyword).name, gap.where, gap.place, search.witness(gap))
        for gap in Proof(before, after).gaps()
    ]


def an_object(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object that takes these properties and no others."""
    return {"type": "object", "properties": properties, "additionalProperties": False}
