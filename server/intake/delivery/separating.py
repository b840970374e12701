"""Send the events of a topic one by one after it refused a batch as too large, in the order of each key.

Place: intake.delivery → HERE → sink.
Rules: the broker refused the batch, so it has none of these events, and they may be sent again at once. Until all
events that the sink had before have an outcome, younger events of the topic with a key are kept out of the sink,
because they would overtake those.
Not here: how a sink separates a topic's records (sink.kafka.alone), where the younger events go (intake.delivery).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from server.intake.books.tally import Tally
    from server.intake.event import Event
    from server.sink.base import Sink

BATCH_TOO_LARGE: Final = "batch_too_large"  # As sinks classify an ack (sink.base).


class Separating:
    """The topics that are being separated; it is false while there are none. ``settle_s``: the time within which the
    sink settles its events."""

    def __init__(self, sink: Sink, settle_s: float) -> None:
        self._sink = sink
        self._settle_s = settle_s
        self._topics: dict[str, tuple[Tally, float]] = {}

    def __bool__(self) -> bool:
        return bool(self._topics)

    def begin(self, event: Event, now: float) -> bool:
        """Begin to separate the topic of an event whose batch was too large. Returns whether the event may be sent
        again now."""
        is_keyed = event.key is not None
        if not self._sink.separate(event.topic, is_keyed=is_keyed):
            return False
        if is_keyed:
            self._topics.setdefault(event.topic, (event.route.tally, now + self._settle_s))
        return True

    def keeps_out(self, event: Event) -> bool:
        """Whether an event has to wait for older events."""
        if event.key is None or event.topic not in self._topics:
            return False
        if self._topics[event.topic][0].in_flight() > 0:
            return True
        del self._topics[event.topic]
        return False

    def look(self, now: float) -> None:
        """Stop separating topics that have no event in flight any more, or whose time is over."""
        for topic, (tally, until) in list(self._topics.items()):
            if now >= until or tally.in_flight() <= 0:
                del self._topics[topic]
