"""What somebody may write who has proved to hold a key or a token.

Place: auth.credentials, auth.tokens make grants → HERE → auth.guard compares them with what a stream asks for.
Rule: a grant never changes; that it has expired is seen when it is looked at, so its end is an integer, which compares
in half the time of a float.
Not here: how it was proved.
"""

# hot path

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from server.auth.names import StreamNames
    from server.text.origins import Origins

OWN: Final = "own"
NEVER_MS: Final = 1 << 62


class Grant(Struct, frozen=True, eq=False):
    """``way``: api_keys or jwt. ``name``: of the key, or the subject of the token. ``until_ms``: Unix time of its end.

    ``streams`` None: all of them. ``origins`` None: from anywhere; else those that the ``Origin`` header may name.
    """

    way: str
    name: str
    until_ms: int = NEVER_MS
    streams: frozenset[str] | StreamNames | None = None
    origins: frozenset[bytes] | Origins | None = None


Grants = tuple[Grant, ...]

NOBODY: Final[Grants] = ()
OURS: Final[Grants] = (Grant(OWN, OWN),)  # For the events that the service makes itself.
