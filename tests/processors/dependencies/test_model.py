"""The model against brute force over random worlds: nothing is missed, and nothing is stale without a reason."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.dependencies.messages import Changed, Derived, Forget, Stale, Sweep, Use
from processors.dependencies.model import Bounds, are_related
from tests.processors.dependencies.world import ASPECTS, LEAVES, Tracked, World, as_read, deeper, drain

SEEDS = st.integers(0, 2**32)
SOURCES = ("s0", "s1", "s2")


class Run:
    """A random history of a world, told to the model while it goes on. ``is_ordered``: the events of one resource come
    in their order; all others overtake each other. A text that ``returns`` has been there before."""

    def __init__(
        self, seed: int, styles: Iterable[str], *, has_hashes: bool, is_ordered: bool, returns: bool, is_torn: bool
    ) -> None:
        self.random = Random(seed)
        self.styles = tuple(styles)
        self.has_hashes = has_hashes
        self.is_ordered = is_ordered
        self.returns = returns
        self.is_torn = is_torn
        self.world = World(SOURCES)
        self.tracked = Tracked(Bounds(page=self.random.choice((1, 2, 50))))
        self.users = tuple(f"d{number}" for number in range(self.random.randint(1, 6)))
        self.reading: list[tuple[Derived, list[tuple[str, str, int, str]]]] = []
        self.events: list[Changed | Derived] = []
        self.seen: dict[str, list[tuple[int, str]]] = {}
        self.texts = 0

    def go(self, steps: int) -> None:
        for _ in range(steps):
            self.random.choice((self._change, self._begin, self._finish, self._tell, self._deliver, self._deliver))()
        while self.reading:
            self._finish()
        while self.events:
            self._tell()
        drain(self.tracked, self.random.randrange, is_twice=True)

    def _change(self) -> None:
        leaves = tuple(self.random.sample(LEAVES, self.random.randint(1, 2)))
        self.texts += 1
        texts = tuple(str(self.random.randint(0, 2)) if self.returns else f"t{self.texts}" for _ in leaves)
        event = self.world.change(self.random.choice(SOURCES), leaves, texts, self.random.choice(self.styles))
        self.events.append(event)

    def _begin(self) -> None:
        user = self.random.choice(self.users)
        inputs = [(one, aspect) for one in SOURCES for aspect in ASPECTS] + [
            (one, "*") for one in self.users if one != user and one in self.world.results
        ]
        wanted = self.random.sample(inputs, self.random.randint(0, 4))
        event = self.world.read(user, wanted, has_hashes=self.has_hashes)
        self.reading.append((event, as_read(event, self.world)))

    def _finish(self) -> None:
        if not self.reading:
            return
        event, reads = self.reading.pop(self.random.randrange(len(self.reading)))
        if self.is_torn:  # The versions were read before the texts.
            reads = as_read(event, self.world)
            uses = tuple(Use(one, aspect, version, text) for one, aspect, version, text in reads)
            event = Derived(event.resource, event.number, "&".join(sorted(text for *_, text in reads)), uses)
        if event.number > self.world.version(event.resource):
            self.world.keep(event, reads)
            self.seen.setdefault(event.resource, []).append((event.number, event.hash))
            self.events.append(event)

    def _tell(self) -> None:
        if not self.events:
            return
        place = self.random.randrange(len(self.events))
        if self.is_ordered:
            resource = self.events[place].resource
            place = next(number for number, event in enumerate(self.events) if event.resource == resource)
        event = self.events.pop(place)
        self.tracked.deliver(event)
        if self.random.random() < 0.2:  # The stream is read again from an earlier place.
            self.events.insert(self.random.randint(0, len(self.events)), event)

    def _deliver(self) -> None:
        if self.tracked.way:
            self.tracked.deliver(self.tracked.way.pop(self.random.randrange(len(self.tracked.way))))


@given(SEEDS)
def test_stale_are_exactly_those_whose_inputs_differ_from_what_they_read(seed: int) -> None:
    run = Run(seed, ["full"], has_hashes=True, is_ordered=False, returns=False, is_torn=False)
    run.go(80)

    assert run.tracked.marked() == run.world.needed()


@given(SEEDS, st.booleans())
def test_where_hashes_return_none_is_missed_and_none_is_stale_without_a_reason(seed: int, is_torn: bool) -> None:
    run = Run(seed, ["full"], has_hashes=True, is_ordered=False, returns=True, is_torn=is_torn)
    run.go(80)

    assert run.world.needed() <= run.tracked.marked() <= run.world.justified(run.seen)


@given(SEEDS, st.booleans(), st.booleans())
def test_none_is_missed_whatever_the_events_list_and_readers_know(seed: int, has_hashes: bool, returns: bool) -> None:
    styles = ("full", "leaves", "parts", "unknown")
    run = Run(seed, styles, has_hashes=has_hashes, is_ordered=True, returns=returns, is_torn=False)
    run.go(80)

    assert run.world.needed() <= run.tracked.marked()
    assert run.tracked.marked() <= told_of(run)


def told_of(run: Run) -> set[str]:
    """The resources of whose reads a later event said that they may have changed."""
    found = set()
    for user, reads in run.world.reads.items():
        for one, aspect, version, _ in reads:
            is_told = any(
                event.resource == one and event.version > version and any(are_related(aspect, a) for a in event.aspects)
                for event in run.world.told
            )
            if is_told or any(number > version for number, _ in run.seen.get(one, [])):
                found.add(user)
    return found


@given(SEEDS)
def test_a_wave_costs_no_more_than_the_edges_that_it_touches(seed: int) -> None:
    """Each registered use leads to one notice at most, and each result to one stale event."""
    run = Run(seed, ["full", "leaves"], has_hashes=True, is_ordered=True, returns=True, is_torn=False)
    run.go(80)
    results = [(stale.resource, stale.number) for stale in run.tracked.stale]

    assert run.tracked.notices <= run.tracked.registered
    assert len(results) == len(set(results))


@given(SEEDS)
def test_what_was_lost_is_found_by_an_event_that_lists_everything(seed: int) -> None:
    """Repair: a reconcile event is a change that lists all aspects with their hashes."""
    run = Run(seed, ["full"], has_hashes=True, is_ordered=False, returns=False, is_torn=False)
    changes = run.random
    for _ in range(40):
        run._change()
        run._begin()
        run._finish()
        run.events = [event for event in run.events if isinstance(event, Derived) or changes.random() < 0.5]
        run._tell()
    for source in SOURCES:
        texts: dict[str, str | None] = {aspect: run.world.text(source, aspect) for aspect in ASPECTS}
        run.events.append(Changed(source, run.world.version(source), texts))
    run.go(0)

    assert run.tracked.marked() == run.world.needed()


@given(SEEDS)
def test_deriving_what_is_stale_ends_with_what_deriving_everything_would_give(seed: int) -> None:
    """A graph without rings, in which each resource reads inputs before it, some of them only for some texts."""
    random = Random(seed)
    world, tracked = World(SOURCES), Tracked(Bounds(page=2))
    users = [f"d{number}" for number in range(6)]
    inputs = {
        user: random.sample(
            [(one, aspect) for one in SOURCES for aspect in LEAVES] + [(one, "*") for one in users[:at]], 3
        )
        for at, user in enumerate(users)
    }

    def wanted(user: str) -> list[tuple[str, str]]:
        first, second, third = inputs[user]
        return [first, second if "1" in world.text(*first) else third]

    def derive(user: str, stale: Stale | None) -> None:
        event = world.read(user, wanted(user), has_hashes=True)
        world.keep(event, as_read(event, world))
        tracked.deliver(deeper(event, stale) if stale else event)

    for user in users:
        derive(user, None)
    for _ in range(10):
        leaves = tuple(random.sample(LEAVES, 1))
        tracked.deliver(world.change(random.choice(SOURCES), leaves, (str(random.randint(0, 2)),), "full"))
        if random.random() < 0.5:
            drain(tracked, random.randrange)
    derived = 0
    drain(tracked, random.randrange)
    while tracked.stale:
        stale = tracked.stale.pop(random.randrange(len(tracked.stale)))
        if stale.number == world.version(stale.resource):
            derive(stale.resource, stale)
            derived += 1
            drain(tracked, random.randrange)

    kept = {user: world.text(user, "*") for user in users}
    for user in users:  # From nothing, in the order of the graph.
        event = world.read(user, wanted(user), has_hashes=True)
        assert event.hash == kept[user]
        world.keep(event, [])
    assert derived <= 2 ** len(users)


def page(number: int, version: int, text: str) -> Derived:
    return Derived("page", number, f"page {text}", (Use("template", "*", version, text),))


def test_an_equal_result_stops_the_wave() -> None:
    tracked = Tracked()
    tracked.deliver(Derived("middle", 1, "same", (Use("source", "*", 1, "a"),)))
    tracked.deliver(Derived("page", 2, "x", (Use("middle", "*", 1, "same"),)))
    tracked.deliver(Changed("source", 2, {"*": "b"}))
    drain(tracked, lambda _: 0)
    before = len(tracked.stale)
    tracked.deliver(Derived("middle", 3, "same", (Use("source", "*", 2, "b"),)))
    drain(tracked, lambda _: 0)

    assert [one.resource for one in tracked.stale] == ["middle"]
    assert before == 1
    assert tracked.marked() == set()


def test_an_aspect_that_did_not_change_is_not_even_looked_at() -> None:
    tracked = Tracked()
    tracked.deliver(Changed("source", 1, {"*": "1", "labels": "1", "labels/de": "a", "statements/P31": "a"}))
    for number in range(100):
        aspect = "labels/de" if number % 10 == 0 else "statements/P31"
        tracked.deliver(Derived(f"d{number}", 1, "", (Use("source", aspect, 1, "a"),)))
    drain(tracked, lambda _: 0)
    tracked.deliver(Changed("source", 2, {"*": "2", "labels": "2", "labels/de": "b", "statements/P31": "a"}))
    drain(tracked, lambda _: 0)
    users = tracked.nodes["source"].users

    assert (users["labels/de"].seen, users["statements/P31"].seen) == (10, 0)
    assert tracked.marked() == {f"d{number}" for number in range(0, 100, 10)}


def test_changes_that_never_pause_starve_no_user_of_a_hot_node() -> None:
    """A newer change makes the sweep end where it found it, and does not start it again."""
    tracked = Tracked(Bounds(page=10))
    for number in range(100):
        tracked.deliver(Derived(f"d{number:02}", 1, "", (Use("hot", "*", 1, "1"),)))
    drain(tracked, lambda _: 0)
    for version in range(2, 13):
        tracked.deliver(Changed("hot", version, {"*": str(version)}))
        sweep = next(message for message in tracked.way if isinstance(message, Sweep))
        tracked.way.remove(sweep)
        tracked.deliver(sweep)  # One page of ten, between two changes.

    assert tracked.notices == 100


def test_a_change_during_a_sweep_is_also_for_the_users_that_it_has_passed() -> None:
    tracked = Tracked(Bounds(page=1))
    tracked.deliver(Changed("hot", 1, {"*": "a"}))
    for user, version, text in (("d0", 2, "b"), ("d1", 1, "a"), ("d2", 1, "a")):
        tracked.deliver(Derived(user, 1, "", (Use("hot", "*", version, text),)))
    drain(tracked, lambda _: 0)
    tracked.deliver(Changed("hot", 2, {"*": "b"}))
    tracked.deliver(tracked.way.pop(0))  # The first page has d0, which has read this version.
    tracked.deliver(Changed("hot", 3, {"*": "c"}))
    drain(tracked, lambda _: 0)

    assert tracked.marked() == {"d0", "d1", "d2"}


def test_an_equal_hash_says_nothing_of_a_time_in_which_a_part_was_told_to_change() -> None:
    """The reader knows no hash, and read version 4, between two equal hashes of the whole."""
    tracked = Tracked()
    tracked.deliver(Changed("source", 2, {"labels": "a"}))
    tracked.deliver(Changed("source", 4, {"labels/de": "x"}))
    tracked.deliver(Derived("page", 1, "", (Use("source", "labels", 4, None),)))
    tracked.deliver(Changed("source", 6, {"labels": "a"}))
    drain(tracked, lambda _: 0)

    assert tracked.marked() == {"page"}


def test_a_late_word_of_an_old_result_removes_no_newer_use() -> None:
    tracked = Tracked()
    tracked.deliver(page(3, 1, "a"))
    drain(tracked, lambda _: 0)
    tracked.deliver(Forget("template", "*", "page", 2))
    tracked.deliver(Changed("template", 2, {"*": "b"}))
    drain(tracked, lambda _: 0)

    assert tracked.marked() == {"page"}


def test_a_user_that_reads_something_else_now_is_forgotten_at_the_first_notice() -> None:
    tracked = Tracked()
    tracked.deliver(page(1, 1, "a"))
    tracked.deliver(Derived("page", 2, "other", ()))
    tracked.deliver(Changed("template", 2, {"*": "b"}))
    drain(tracked, lambda _: 0)

    assert (tracked.marked(), tracked.stale) == (set(), [])
    assert tracked.nodes["template"].users["*"].edges == {}


def test_a_notice_that_comes_before_its_result_is_kept_for_it() -> None:
    tracked = Tracked()
    tracked.deliver(Changed("template", 2, {"*": "b"}))
    other = Tracked()
    other.deliver(page(7, 1, "a"))
    tracked.deliver(other.way[0])  # The input hears of the result before the user does.
    drain(tracked, lambda _: 0)
    assert tracked.stale == []
    tracked.deliver(page(7, 1, "a"))

    assert [(one.resource, one.number) for one in tracked.stale] == [("page", 7)]


@pytest.mark.parametrize(("depth", "sent"), [(3, 3), (10, 10)])
def test_a_ring_that_never_settles_ends_at_the_depth_and_stays_marked(depth: int, sent: int) -> None:
    tracked = Tracked(Bounds(depth=depth))
    tracked.deliver(Derived("a", 1, "0", (Use("b", "*", 0, ""),)))
    tracked.deliver(Derived("b", 2, "0", (Use("a", "*", 1, "0"),)))
    number, answered = 2, 0
    drain(tracked, lambda _: 0)
    while answered < len(tracked.stale):
        stale = tracked.stale[answered]
        other = "b" if stale.resource == "a" else "a"
        node = tracked.nodes[other]
        number, answered = number + 1, answered + 1
        uses = (Use(other, "*", node.number, node.known["*"].hash),)
        tracked.deliver(Derived(stale.resource, number, f"{number}", uses, stale.depth))
        drain(tracked, lambda _: 0)

    assert answered == sent
    assert len(tracked.marked()) == 1


def test_a_resource_of_low_priority_is_marked_and_not_pushed() -> None:
    tracked = Tracked()
    tracked.deliver(Derived("page", 1, "", (Use("template", "*", 1, "a"),), is_pushed=False))
    tracked.deliver(Changed("template", 2, {"*": "b"}))
    drain(tracked, lambda _: 0)

    assert (tracked.marked(), tracked.stale) == ({"page"}, [])
