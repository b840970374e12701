"""Say which stream or schema an event was probably meant for, when it names one that is not known.

Place: intake.router → HERE → text.nearest.
Rules: only names of streams and titles that streams declare are told, all of which are public at /v1/stream-configs.
The versions of a title are listed again after ``VERSIONS_S``, since every unknown version of it asks for them.
Not here: the rest of the sentence (intake.router).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from server.text.nearest import Nearest

if TYPE_CHECKING:
    from server.catalog.stream import Stream

VERSIONS_S: Final = 10.0
_MAX_LISTED: Final = 1_000


class NameHints:
    """The hints of one worker. ``versions`` lists the URIs of a title, oldest first."""

    def __init__(self, streams: Iterable[Stream] = (), versions: Callable[[str], Sequence[str]] | None = None) -> None:
        self._versions = versions
        self.use(streams)

    def use(self, streams: Iterable[Stream]) -> None:
        """Use these streams from now on."""
        ours = list(streams)
        self._titles = dict.fromkeys(stream.schema_title for stream in ours if stream.schema_title)
        self._near_stream = Nearest(stream.name for stream in ours if stream.enabled and stream.name[:1] != "/")
        self._near_title = Nearest(self._titles)
        self._listed: dict[str, tuple[float, str]] = {}

    def of_stream(self, name: str) -> str:
        """Return the hint about an unknown stream; it is empty if no declared one is near."""
        near = self._near_stream.of(name)
        return "" if near is None else f"; did you mean {near!r}?"

    def of_schema(self, uri: str) -> str:
        """Return the hint about an unknown schema: the latest version of its title, or of the title that is near."""
        title = uri[1:].rpartition("/")[0]
        if title in self._titles:
            latest = self._latest(title)
            return f"; the latest version is {latest!r}" if latest else ""
        near = self._near_title.of(title)
        latest = self._latest(near) if near is not None else ""
        return f"; did you mean {latest!r}?" if latest else ""

    def _latest(self, title: str) -> str:
        now = time.monotonic()
        listed = self._listed.get(title)
        if listed is None or now > listed[0]:
            found = self._versions(title) if self._versions is not None else ()
            if len(self._listed) >= _MAX_LISTED:
                self._listed.clear()
            listed = self._listed[title] = now + VERSIONS_S, found[-1] if found else ""
        return listed[1]
