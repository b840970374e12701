"""Watch the schema versions of streams: one whose events stop or fall, and in whose place no others come.

Place: plausibility.watcher → HERE → plausibility.model.
Rules: pure. A version that gives way to others of its stream is retired: what was learned of it is forgotten, and it is
no signal. A small part of a stream is judged by nothing, because the chance of the others hides it. The number of
versions is limited.
Not here: the stream as a whole (plausibility.watcher), which goes before: while it is silent or falls, its versions are
no signals of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from server.plausibility.model import LEAST_EVENTS, WINDOW, StreamModel, decode, encode
from server.plausibility.shares import Shares, Signal

KIND: Final = "version"
FALLS: Final = ("silent", "drop")
LEAST_SHARE: Final = 0.1  # Of the events of its stream.
MOST: Final = 1_024

Key = tuple[str, str]  # A stream, and the URI of a schema.


class VersionModels:
    """The models of all versions, by stream and URI. The only version of a stream has none: it is its stream."""

    def __init__(self, models: Mapping[Key, StreamModel] | None = None) -> None:
        self.models: dict[Key, StreamModel] = dict(models or {})
        self._only: dict[str, str] = {}  # The only version of a stream.

    def keep(self, streams: Collection[str]) -> None:
        """Forget all other streams."""
        for key in [key for key in self.models if key[0] not in streams]:
            del self.models[key]
        self._only = {stream: uri for stream, uri in self._only.items() if stream in streams}

    def take(
        self,
        minute: int,
        counts: Mapping[Key, int],
        rates: Mapping[str, float | None],
        streams: Mapping[str, StreamModel],
    ) -> None:
        """Take the numbers of events of a minute. ``rates`` has the sample rate of each stream that is declared;
        ``streams`` are the models of streams up to the minute before."""
        several = {key[0] for key in self.models}
        for key in sorted(counts, key=lambda key: -counts[key]):
            if counts[key] > 0 and key[0] in rates and key not in self.models:
                self._meet(key, minute, streams, several)
        for key, model in self.models.items():
            if key[0] not in rates:
                continue  # It is not declared now, and its minutes are unknown.
            if (rate := rates.get(key[0])) is not None:
                model.use_sample_rate(rate)
            model.add(minute, max(0, counts.get(key, 0)))

    def _meet(self, key: Key, minute: int, streams: Mapping[str, StreamModel], several: set[str]) -> None:
        """Begin to watch a version, if it is not the only one. The one that was alone has the memory of its stream."""
        stream, uri = key
        only = uri if stream in several else self._only.setdefault(stream, uri)
        if len(self.models) >= MOST - 1 or (only == uri and stream not in several):
            return
        if only != uri:
            del self._only[stream]
            several.add(stream)
            model = streams.get(stream)
            self.models[stream, only] = StreamModel(minute) if model is None else _copy(model)
        self.models[key] = StreamModel(minute)

    def signals(self, falling: Collection[str]) -> dict[str, list[Signal]]:
        """Return the signals by stream; none of streams that are ``falling`` as a whole."""
        of_stream: dict[str, list[Key]] = {}
        for key in self.models:
            of_stream.setdefault(key[0], []).append(key)
        found: dict[str, list[Signal]] = {}
        for stream, keys in of_stream.items():
            if len(keys) > 1 and stream not in falling and (signals := self._of_stream(keys)):
                found[stream] = signals
        return found

    def _of_stream(self, keys: list[Key]) -> list[Signal]:
        whole = sum(self._expected(key) for key in keys)
        found = []
        for key in keys:
            signal = next((one for one in self.models[key].signals() if one.kind in FALLS), None)
            if signal is None:
                continue
            if self._gained(other for other in keys if other != key) >= (signal.expected - signal.seen) / 2:
                del self.models[key]
            elif signal.expected >= max(LEAST_EVENTS, LEAST_SHARE * whole):
                found.append(Signal(KIND, signal.expected, signal.seen, key[1]))
        return found

    def _expected(self, key: Key) -> float:
        model = self.models[key]
        return model.expected() or model.seen() or 0.0

    def _gained(self, keys: Iterable[Key]) -> float:
        """Return how many more events these have had in the last hour than is usual. A new one has none that are
        usual."""
        gained = 0.0
        for key in keys:
            if key in self.models:
                events, known = self.models[key].window()
                gained += max(0.0, events - (self.models[key].expected() or 0.0) * known / WINDOW)
        return gained


def _copy(model: StreamModel) -> StreamModel:
    """Return another model with the volumes of this one."""
    copied = decode(encode(model))
    copied.shares, copied.samples = Shares(), Shares()
    return copied


def key_of(name: str) -> Key | None:
    """Return the key of a name in the counts (intake.books.versions); None if it names no single version."""
    stream, space, uri = name.partition(" ")
    return (stream, uri) if space and uri else None
