"""Check the fields that streams want watched, for ``penstock check``.

Place: commands.check → HERE.
Rules: a field that no version of the schema can have would always be missing, and without samples no field is looked
at: both are warnings. Schemas that cannot be used are named by other checks.
Not here: the form of a path (catalog.allowed), what is done with fields (plausibility.sampling).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from server.catalog.sources import where
from server.config.framework.finding import Finding
from server.plausibility.settings import settings_of

if TYPE_CHECKING:
    from server.boot.examine import Examined

_NO_SAMPLES: Final = "has no effect: no samples of events are taken"
_TAKE_SAMPLES: Final = "set plausibility.enabled and plausibility.samples.enabled to true, or leave the line out"


def check_fields(examined: Examined) -> list[Finding]:
    """Return a warning for each stream whose watched fields make no sense."""
    snapshot, schemas, config = examined.snapshot, examined.schemas, examined.loaded.config
    if snapshot is None or schemas is None:
        return []
    takes_samples = config.plausibility.enabled and config.plausibility.samples.enabled
    found = []
    for stream in snapshot.streams():
        fields = settings_of(stream.settings).fields
        if not fields:
            continue
        reasons = [] if takes_samples else [(_NO_SAMPLES, _TAKE_SAMPLES)]
        if isinstance(fields, list) and stream.schema_title is not None:
            versions = schemas.versions(stream.schema_title)
            schema = schemas.find_here(versions[-1]) if versions else ("", "")
            if not isinstance(schema, tuple):
                unknown = [path for path in fields if not _may_have(schema.schema, path.split("."))]
                reasons += [
                    (f"the schema {versions[-1]} has no field {path!r}", "correct the path") for path in unknown
                ]
        file, line = where(examined.sources, config.streams.wiki, stream.name, ("alarms", "fields"))
        found += [
            Finding(
                level="warning", file=file, line=line, stream=stream.name, key="alarms.fields", reason=reason, hint=hint
            )
            for reason, hint in reasons
        ]
    return found


def _may_have(schema: Any, path: list[str]) -> bool:
    """Whether an object of the schema may have something at the path, as far as its properties say."""
    for name in path:
        properties = schema.get("properties") if isinstance(schema, dict) else None
        if not isinstance(properties, dict):
            return True
        if name not in properties:
            return schema.get("additionalProperties", True) is not False
        schema = properties[name]
    return True
