"""Several CloudEvents as one JSON array (CloudEvents 1.0.2, JSON event format, section 4).

Place: intake.forms.forms → HERE → intake.forms.cloudevents.
Rule: the body is an array, even of one.
Not here: how a CloudEvent becomes an event (intake.forms.cloudevents).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.intake.forms.cloudevents import CloudEvents, is_batch
from server.intake.forms.form import Form

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.intake.forms.form import SchemaHere


def form(config: Config, schema: SchemaHere) -> Form:
    """How such a body is read."""
    return Form(unwrap=CloudEvents(config, schema).unwrap, finish=is_batch)
