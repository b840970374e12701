"""Check the settings of plausibility alarms against the sink and one another.

Place: config.rules → HERE.
Rule: as in config.rules: a finding names the setting that an operator would change.
Not here: each value alone (config.framework.judge), settings of one stream (catalog.allowed).
"""

from __future__ import annotations

from collections.abc import Iterator

from server.config.framework.breach import Breach
from server.config.framework.document import SettingsDocument
from server.config.plausibility_settings import FRESH_S
from server.config.settings import Config
from server.config.sink_settings import SINK_KINDS


def plausibility_breaches(config: Config, document: SettingsDocument) -> Iterator[Breach]:
    """Yield samples that would have no effect, or no source."""
    samples, path = config.plausibility.samples, ("plausibility", "samples", "enabled")
    if not samples.enabled:
        return
    if not config.plausibility.enabled:
        reason = "samples have no effect without plausibility alarms"
        yield Breach(path, reason, "set plausibility.enabled to true, or this to false")
    if not SINK_KINDS[config.sink.kind].can_be_read:
        reason = f"sink.kind {config.sink.kind} stores no events that could be read"
        yield Breach(path, reason, "set it to false, or choose another kind of sink")
    if samples.period_s >= FRESH_S:
        reason = f"{samples.period_s:g} is too long: reports that are older than {FRESH_S:g} s are not used"
        yield Breach(("plausibility", "samples", "period_s"), reason, f"choose less than {FRESH_S:g}")
