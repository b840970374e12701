"""One topic that is followed: its newest events, and the groups and clients that read it.

Place: HERE ← hub.
Rule: the hub alone changes it.
Not here: what happens to it (hub).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventstreams.flow.client import StreamClient
    from eventstreams.flow.group import Group
    from eventstreams.flow.positions import Positions
    from eventstreams.flow.ring import Ring
    from eventstreams.record import Policies


class TopicLog:
    """One topic. ``ids`` are the identities of the logs of its partitions, "" where it is not known."""

    __slots__ = ("clients", "groups", "ids", "left_at", "looked_at", "policies", "rings", "topic")

    def __init__(self, topic: str, policies: Policies) -> None:
        self.topic = topic
        self.policies = policies
        self.rings: dict[int, Ring] = {}
        self.ids: dict[int, str] = {}
        self.groups: dict[Group, None] = {}
        self.clients: dict[StreamClient, None] = {}
        self.left_at = 0.0
        self.looked_at = 0.0

    def positions(self) -> list[Positions]:
        """Return the positions of all groups, and of the clients that read alone."""
        own = [client.own for client in self.clients if client.own is not None]
        return [*own, *(group.positions for group in self.groups)]
