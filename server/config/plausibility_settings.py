"""Define the settings of plausibility alarms.

Place: config.settings → HERE.
Rule: the same as in config.settings; read that file before this one.
Not here: settings of one stream (catalog.allowed), what is unusual (server.plausibility).
"""

from __future__ import annotations

from typing import Annotated

from server.config.framework.section import Section, Text, says


class PlausibilitySettings(Section, frozen=True):
    """Plausibility alarms: the numbers of events of each stream are compared with those of the weeks before."""

    enabled: Annotated[
        bool, says("Whether the admin process learns what is usual for each stream, and raises alarms.")
    ] = False
    path: Annotated[
        Text, says("Directory of what was learned. It is made when absent; one process at a time uses it.")
    ] = "var/plausibility"
