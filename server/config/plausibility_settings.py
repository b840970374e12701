"""Define the settings of plausibility alarms.

Place: config.settings → HERE.
Rule: the same as in config.settings; read that file before this one.
Not here: settings of one stream (catalog.allowed), what is unusual (server.plausibility).
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, field

from server.config.framework.section import Seconds, Section, Text, says

FRESH_S: Final = 180.0  # A report of samples that is older tells nothing of the present.


class SampleSettings(Section, frozen=True):
    """Samples: a process next to the workers reads some of the newest events of each stream where the sink stores
    them. Without samples, alarms are about numbers of events alone."""

    enabled: Annotated[bool, says("Whether samples are taken.")] = False
    period_s: Annotated[
        Seconds, says("Time from one round of samples to the next. Alarms use the last round of each minute.")
    ] = 60.0
    per_stream: Annotated[
        int, Meta(ge=1, le=5_000), says("Most events of a stream that are read in a round; they follow one another.")
    ] = 100


class PlausibilitySettings(Section, frozen=True):
    """Plausibility alarms: the numbers of events of each stream are compared with those of the weeks before."""

    enabled: Annotated[
        bool, says("Whether the admin process learns what is usual for each stream, and raises alarms.")
    ] = False
    path: Annotated[
        Text, says("Directory of what was learned. It is made when absent; one process at a time uses it.")
    ] = "var/plausibility"
    samples: Annotated[SampleSettings, says("Samples of events.")] = field(default_factory=SampleSettings)
