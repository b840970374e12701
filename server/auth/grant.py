"""A grant: the streams that the holder of a verified key or token may write to.

Place: auth.credentials, auth.tokens make grants → HERE → auth.guard compares them with the requirements of a stream.
Rule: a grant never changes. Its end is compared with the clock at each use; it is an integer, because integers compare
in half the time of floats.
Not here: verification (auth.api_keys, auth.tokens).
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
    """One grant. ``way`` is api_keys or jwt, ``name`` the name of the key or the subject of the token, ``until_ms`` the
    Unix time of its end.

    ``streams`` None: all of them. ``origins`` None: from anywhere; else those that the ``Origin`` header may name.
    """

    way: str
    name: str
    until_ms: int = NEVER_MS
    streams: frozenset[str] | StreamNames | None = None
    origins: frozenset[bytes] | Origins | None = None


Grants = tuple[Grant, ...]

NOBODY: Final[Grants] = ()
OURS: Final[Grants] = (Grant(OWN, OWN),)  # The service uses this for the events that it makes itself.
