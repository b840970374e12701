"""An executable model of dependency tracking: which derived resources are out of date after a change of their inputs.

Place: docs/designs/dependency-tracking.md → HERE; its tests judge it against brute force. It is the proof of a design,
and no service runs it.
Rules: pure: no I/O, no clock. ``take`` sees the state of one resource and one message to it, so the state can be
divided by resource. Messages may come twice; those of different senders come in any order. The changes of one resource
come in the order of their versions, unless each of them and each use carries hashes. The larger number or version wins.
Not here: how resources are derived, when a stale one is derived again, and storage.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

from msgspec import Struct, field

from processors.dependencies.messages import (
    ALL,
    Changed,
    Derived,
    Forget,
    Message,
    Notice,
    Register,
    Stale,
    Sweep,
    Use,
)


class Known(Struct):
    """The newest known version of an aspect, its hash, and the version since which it has had this hash."""

    version: int
    hash: str | None
    changed_at: int


class Edge(Struct):
    """One use by one user. ``is_told``: the user has been sent a notice for this result."""

    number: int
    version: int
    hash: str | None
    is_told: bool = False


class Users(Struct):
    """The users of one aspect, in order, and a sweep around them that ends where the newest change found it."""

    edges: dict[str, Edge] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    newest: int = 0  # The largest version that any of them has used.
    at: str = ""
    until: str | None = None  # None: there is no sweep.
    has_wrapped: bool = False
    seen: int = 0  # Edges that sweeps have looked at.

    def put(self, user: str, edge: Edge) -> None:
        if user not in self.edges:
            insort(self.order, user)
        self.edges[user] = edge
        self.newest = max(self.newest, edge.version)

    def drop(self, user: str) -> None:
        del self.edges[user]
        del self.order[bisect_left(self.order, user)]

    def page(self, most: int) -> Iterator[tuple[str, Edge]]:
        """Go on with the sweep, past ``most`` users."""
        while most and self.until is not None:
            place = bisect_right(self.order, self.at)
            if place == len(self.order) and not self.has_wrapped:
                self.at, self.has_wrapped = "", True
            elif place == len(self.order) or (self.has_wrapped and self.order[place] > self.until):
                self.until = None
            else:
                self.at = self.order[place]
                most -= 1
                self.seen += 1
                yield self.at, self.edges[self.at]


class Node(Struct):
    """The state of one resource, as an input and as a user."""

    known: dict[str, Known] = field(default_factory=dict)
    users: dict[str, Users] = field(default_factory=dict)
    depth: int = 0
    number: int = 0
    is_pushed: bool = False
    mark: Notice | None = None

    @property
    def is_stale(self) -> bool:
        return self.mark is not None and self.mark.number == self.number


class Bounds(Struct, frozen=True):
    """``page`` users are looked at in one step; beyond ``depth`` a resource is marked, and no stale event is sent."""

    page: int = 1000
    depth: int = 20


def are_related(one: str, other: str) -> bool:
    """Whether one aspect is the other, or a part of it."""
    return ALL in (one, other) or f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def cause_of(known: dict[str, Known], aspect: str, edge: Edge) -> tuple[str, int] | None:
    """Return aspect and version by which a use is out of date. The aspect itself speaks for its parts, and for what it
    is a part of, up to its own version."""
    since = edge.version
    itself = known.get(aspect)
    if itself is not None and itself.version > since:
        are_comparable = edge.hash is not None and itself.hash is not None
        if edge.hash != itself.hash if are_comparable else itself.changed_at > since:
            return aspect, itself.version
        since = itself.version
    for other, found in known.items():
        if found.changed_at > since and other != aspect and are_related(aspect, other):
            return other, found.changed_at
    return None


def take(node: Node, message: Message, bounds: Bounds) -> list[Message | Stale]:
    """Change the state of the message's resource, and return the messages and outputs that follow."""
    if isinstance(message, Changed):
        return list(_on_changed(node, message))
    if isinstance(message, Derived):
        return list(_on_derived(node, message, bounds))
    if isinstance(message, Register):
        return list(_on_register(node, message))
    if isinstance(message, Sweep):
        return list(_on_sweep(node, message, bounds))
    if isinstance(message, Notice):
        return list(_on_notice(node, message, bounds))
    users = node.users.get(message.aspect)
    if users is not None and message.user in users.edges and users.edges[message.user].number <= message.number:
        users.drop(message.user)
    return []


def _on_changed(node: Node, event: Changed) -> Iterator[Message]:
    before = dict(node.known)
    moved = set()
    for aspect, value in event.aspects.items():
        old = before.get(aspect)
        if old is not None and old.version >= event.version:
            continue
        if old is not None and value is not None and old.hash == value and _is_unbroken(before, aspect, old):
            node.known[aspect] = Known(event.version, value, old.changed_at)
        else:
            node.known[aspect] = Known(event.version, value, event.version)
            moved.add(aspect)
        node.depth = event.depth
    for aspect, users in node.users.items():
        if aspect in event.aspects:
            # A user may have read a version between the two that are known, of which nothing was heard.
            old = before.get(aspect)
            is_touched = aspect in moved or old is None or old.version < users.newest
        else:
            is_touched = any(are_related(aspect, other) for other in moved)
        if is_touched and users.order:
            if users.until is None:
                yield Sweep(event.resource, aspect)
            users.until, users.has_wrapped = users.at, False


def _is_unbroken(known: dict[str, Known], aspect: str, itself: Known) -> bool:
    """Whether no part of an aspect was told to have changed after its own hash was."""
    return not any(found.changed_at > itself.version and are_related(aspect, other) for other, found in known.items())


def _on_derived(node: Node, event: Derived, bounds: Bounds) -> Iterator[Message | Stale]:
    if event.number <= node.number:
        return
    node.number, node.is_pushed = event.number, event.is_pushed
    by_input: dict[str, list[Use]] = {}
    for use in event.uses:
        by_input.setdefault(use.resource, []).append(use)
    for source, uses in by_input.items():
        yield Register(source, event.resource, event.number, tuple(uses))
    yield from _on_changed(node, Changed(event.resource, event.number, {ALL: event.hash}, event.depth))
    if node.is_stale:  # A notice of this result came before the result itself.
        yield from _pushed(node, bounds)


def _on_register(node: Node, message: Register) -> Iterator[Message]:
    for use in message.uses:
        users = node.users.setdefault(use.aspect, Users())
        old = users.edges.get(message.user)
        if old is None or old.number < message.number:
            edge = Edge(message.number, use.version, use.hash)
            users.put(message.user, edge)
            yield from _told(node, message.resource, use.aspect, message.user, edge)


def _on_sweep(node: Node, message: Sweep, bounds: Bounds) -> Iterator[Message]:
    users = node.users[message.aspect]
    for user, edge in users.page(bounds.page):
        yield from _told(node, message.resource, message.aspect, user, edge)
    if users.until is not None:
        yield message


def _told(node: Node, source: str, aspect: str, user: str, edge: Edge) -> Iterator[Notice]:
    cause = None if edge.is_told else cause_of(node.known, aspect, edge)
    if cause is not None:
        edge.is_told = True
        yield Notice(user, edge.number, source, aspect, *cause, node.depth + 1)


def _on_notice(node: Node, notice: Notice, bounds: Bounds) -> Iterator[Message | Stale]:
    if notice.number < node.number:
        yield Forget(notice.source, notice.aspect, notice.resource, notice.number)
    elif node.mark is None or node.mark.number < notice.number:
        node.mark = notice
        if node.is_stale:
            yield from _pushed(node, bounds)


def _pushed(node: Node, bounds: Bounds) -> Iterator[Stale]:
    mark = node.mark
    if mark is not None and node.is_pushed and mark.depth <= bounds.depth:
        yield Stale(mark.resource, mark.number, f"{mark.source}#{mark.cause}", mark.version, mark.depth)
