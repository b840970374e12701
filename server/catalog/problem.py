"""One setting of a stream that is not as it must be.

Place: catalog.allowed, catalog.allowed_auth → HERE → catalog.check.
Rule: a reason never shows what may be a secret.
Not here: file and line (config.finding).
"""

from __future__ import annotations

from msgspec import Struct

from server.config.document import KeyPath
from server.config.finding import Level


class Problem(Struct, frozen=True):
    """``path`` begins below the stream."""

    path: KeyPath
    reason: str
    hint: str = ""
    level: Level = "error"
