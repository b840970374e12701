"""One violation of a rule about the settings.

Place: config.rules, config.checks.url_rules → HERE → config.framework.finding.
Rule: it names the path that an operator would change, why, and what to do.
Not here: the rules.
"""

from __future__ import annotations

from msgspec import Struct

from server.config.framework.document import KeyPath


class Breach(Struct, frozen=True):
    """One rule broken at one path."""

    path: KeyPath
    reason: str
    hint: str
    is_warning: bool = False
