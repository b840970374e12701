"""One setting of a stream that is wrong.

Place: catalog.allowed, catalog.allowed_auth → HERE → catalog.check_streams.
Rule: a reason never shows what may be a secret.
Not here: file and line (config.framework.finding).
"""

from __future__ import annotations

from msgspec import Struct

from server.config.framework.document import KeyPath
from server.config.framework.finding import Level


class StreamFault(Struct, frozen=True):
    """One wrong setting; ``path`` begins below the stream."""

    path: KeyPath
    reason: str
    hint: str = ""
    level: Level = "error"
