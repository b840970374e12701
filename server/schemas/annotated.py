"""Find the annotations of a schema, for reports.

Place: schemas_tool.telling → HERE → validators.annotations.
Rule: places are written as people read them, such as ``users[].email``.
Not here: what an annotation does to an event (validators.privacy, server.privacy).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from server.schemas.repository import SchemaLost
from validators import SchemaError
from validators.annotations import POSSIBLE, Step, placed
from validators.privacy import KEYWORD, plan_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def annotated(whole: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the places of a bundle's ``x-privacy`` as people read them, such as ``users[].email``, and the actions.
    Raises SchemaLost."""
    try:
        plan_of(whole, "it")
        return [(_written(each.steps), each.value) for each in placed(whole, KEYWORD, POSSIBLE)]
    except SchemaError as error:
        raise SchemaLost(error.error_type, str(error)) from None


def _written(steps: Sequence[Step]) -> str:
    written = ""
    for step in steps:
        if step.keyword in ("items", "additionalItems"):
            written += "[]" if step.key is None else f"[{step.key}]"
        else:
            written += f".{'*' if step.key is None else step.key}"
    return written.removeprefix(".")
