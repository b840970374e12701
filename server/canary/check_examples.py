"""Check that a canary can be made for each stream that has canaries, for ``penstock check``.

Place: commands.check → HERE → canary.event, which makes the canaries of a run as well.
Rules: an example that makes no valid event is a warning in any case: readers of the schema are misled. A schema
without examples is one where canaries are wanted: with ``canary.enabled``, or where the stream says so itself. Schemas
that cannot be used are named by other checks.
Not here: which streams have canaries (canary.plan).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from server.canary import event
from server.canary.event import BadExampleError, NoCanaryError, NoExampleError
from server.canary.plan import has_canaries
from server.catalog.sources import where
from server.config.framework.finding import Finding

if TYPE_CHECKING:
    from server.boot.examine import Examined
    from server.config.settings import Intake
    from server.schemas.repository import SchemaRepository

_HINT = "canaries are made of it: correct it in the schema's latest version, or set canary_events_enabled to false"


def check_examples(examined: Examined) -> list[Finding]:
    """Return a warning for each stream without a usable example; none where streams or schemas could not be read."""
    snapshot, schemas, config = examined.snapshot, examined.schemas, examined.loaded.config
    if snapshot is None or schemas is None:
        return []
    findings = []
    reasons: dict[str, BadExampleError | None] = {}
    for stream in snapshot.streams():
        title = stream.schema_title
        if title is None or not has_canaries(stream, config):
            continue
        if title not in reasons:
            reasons[title] = _reason(stream.name, title, schemas, config.intake)
        reason = reasons[title]
        is_wanted = config.canary.enabled or stream.settings.get("canary_events_enabled") is True
        if reason is None or (isinstance(reason, NoExampleError) and not is_wanted):
            continue
        file, line = where(examined.sources, config.streams.wiki, stream.name, ("schema_title",))
        findings.append(
            Finding(
                level="warning",
                file=file,
                line=line,
                stream=stream.name,
                key="schema_title",
                reason=str(reason),
                hint=_HINT,
            )
        )
    return findings


def _reason(stream: str, title: str, schemas: SchemaRepository, intake: Intake) -> BadExampleError | None:
    """Return why the title has no usable example, or None."""
    try:
        event.make(stream, title, schemas, intake, "check", time.time())
    except BadExampleError as bad:
        return bad
    except NoCanaryError:
        return None
    return None
