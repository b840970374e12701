"""A small world of resources that change and are derived, and the truth about them, by brute force.

Rule: the world knows every version of every resource, and compares texts. It shares only the events with the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from processors.dependencies.messages import Changed, Derived, Message, Stale, Use
from processors.dependencies.model import Bounds, Node, are_related, take

LEAVES = ("labels/de", "labels/en", "statements/P31")
ASPECTS = ("*", "labels", "statements", *LEAVES)
Choose = Callable[[int], int]
"""Takes n, returns a number below n."""


def within(aspect: str) -> tuple[str, ...]:
    return tuple(leaf for leaf in LEAVES if aspect == "*" or f"{leaf}/".startswith(f"{aspect}/"))


@dataclass
class Tracked:
    """The model with all of its states, and the messages that are on their way, the oldest first."""

    bounds: Bounds = field(default_factory=lambda: Bounds(page=2))
    nodes: dict[str, Node] = field(default_factory=dict)
    way: list[Message] = field(default_factory=list)
    stale: list[Stale] = field(default_factory=list)
    notices: int = 0
    registered: int = 0

    def deliver(self, message: Message) -> None:
        node = self.nodes.setdefault(message.resource, Node())
        for out in take(node, message, self.bounds):
            if isinstance(out, Stale):
                self.stale.append(out)
            else:
                self.way.append(out)
            self.notices += type(out).__name__ == "Notice"
            self.registered += len(out.uses) if type(out).__name__ == "Register" else 0  # type: ignore[union-attr]

    def marked(self) -> set[str]:
        return {name for name, node in self.nodes.items() if node.is_stale}


@dataclass
class World:
    """``texts`` has for each source a list of versions, the first of which is version 1, and each of which maps leaves
    to texts; derived resources have one leaf, ``*``."""

    sources: tuple[str, ...]
    texts: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    results: dict[str, Derived] = field(default_factory=dict)
    reads: dict[str, list[tuple[str, str, int, str]]] = field(default_factory=dict)
    numbers: int = 0
    told: list[Changed] = field(default_factory=list)

    def __post_init__(self) -> None:
        for source in self.sources:
            self.texts[source] = [dict.fromkeys(LEAVES, "0")]

    def text(self, resource: str, aspect: str, version: int | None = None) -> str:
        """The text of an aspect, now or in a version of a source."""
        if resource in self.texts:
            leaves = self.texts[resource][-1 if version is None else version - 1]
            return "|".join(f"{leaf}={leaves[leaf]}" for leaf in within(aspect))
        return self.results[resource].hash if resource in self.results else ""

    def version(self, resource: str) -> int:
        if resource in self.texts:
            return len(self.texts[resource])
        return self.results[resource].number if resource in self.results else 0

    def change(self, source: str, leaves: tuple[str, ...], texts: tuple[str, ...], style: str) -> Changed:
        """A new version. ``style`` says which aspects the event lists."""
        before = self.texts[source][-1]
        self.texts[source].append(before | dict(zip(leaves, texts, strict=True)))
        changed = [leaf for leaf in LEAVES if self.texts[source][-1][leaf] != before[leaf]]
        listed: dict[str, tuple[str, ...]] = {
            "full": ASPECTS,
            "leaves": tuple(changed),
            "parts": ("labels", "statements") if changed else (),
            "unknown": ("*",),
        }
        aspects = {
            aspect: None if style == "unknown" else self.text(source, aspect)
            for aspect in listed[style]
            if style == "full" or any(are_related(aspect, leaf) for leaf in changed) or style == "unknown"
        }
        self.told.append(Changed(source, self.version(source), aspects))
        return self.told[-1]

    def read(self, user: str, wanted: list[tuple[str, str]], *, has_hashes: bool) -> Derived:
        """Read inputs as they are now; the result is not kept before ``keep``."""
        self.numbers += 1
        reads = [(one, aspect, self.version(one), self.text(one, aspect)) for one, aspect in wanted]
        uses = tuple(Use(one, aspect, at, text if has_hashes else None) for one, aspect, at, text in reads)
        return Derived(user, self.numbers, "&".join(sorted(text for _, _, _, text in reads)), uses)

    def keep(self, event: Derived, reads: list[tuple[str, str, int, str]]) -> None:
        """Of two results of a resource the one with the larger number is kept."""
        if event.number > self.version(event.resource):
            self.results[event.resource] = event
            self.reads[event.resource] = reads

    def needed(self) -> set[str]:
        """The resources that read a text which is another one now."""
        return {
            user
            for user, reads in self.reads.items()
            if any(self.text(one, aspect) != text for one, aspect, _, text in reads)
        }

    def justified(self, seen: dict[str, list[tuple[int, str]]]) -> set[str]:
        """The resources that read a text which has been another one since; ``seen`` are the results of resources."""

        def was_other(one: str, aspect: str, version: int, text: str) -> bool:
            if one in self.texts:
                later = range(version, len(self.texts[one]) + 1)
                return any(self.text(one, aspect, number) != text for number in later if number > version)
            return any(number > version and other != text for number, other in seen.get(one, []))

        return {user for user, reads in self.reads.items() if any(was_other(*read) for read in reads)}


def as_read(event: Derived, world: World) -> list[tuple[str, str, int, str]]:
    """What a result has read, told at the moment of the reading."""
    return [(use.resource, use.aspect, use.version, world.text(use.resource, use.aspect)) for use in event.uses]


def drain(tracked: Tracked, choose: Choose, *, is_twice: bool = False) -> None:
    """Deliver every message that is on its way, and those that follow, in a chosen order, some of them twice."""
    while tracked.way:
        message = tracked.way.pop(choose(len(tracked.way)))
        tracked.deliver(message)
        if is_twice and choose(4) == 0:
            tracked.deliver(message)


def deeper(event: Derived, stale: Stale) -> Derived:
    """The same result, as an answer to a stale event."""
    return replace(event, depth=stale.depth)
