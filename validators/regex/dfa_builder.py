"""Build the table of a deterministic automaton for a regular expression, where that is small.

Place: ecma262 reads an expression → HERE → pattern, which hands the automaton out → dfa, which runs it.
Rules:
1. The automaton finds a match in exactly the ASCII texts in which a search finds one. Expressions with a look around, a
   back reference, a word boundary, or a repeated part that may be empty have none.
2. Sizes and work (some 5 ms) are limited: a larger expression has no automaton.
Not here: characters beyond ASCII, which the automaton leaves to a search.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from validators.regex.characters import Ranges
from validators.regex.dfa import FAILED, FOUND, SHIFT, START
from validators.regex.ecma262 import Part, Repeat

MAX_NODES = 1_000
MAX_STATES = 128  # A table takes 16 kB at most.
MAX_WORK = 4_000
MAX_DEPTH = 20  # Of groups.
CHARACTERS = 1 << SHIFT
ONCE = Repeat(1, 1)


class UnfitError(Exception):
    """The expression has no automaton, or too large a one."""


class Tables(NamedTuple):
    """An automaton as dfa.Dfa takes it."""

    table: bytes
    accepting: bytes


class _Choice:
    """A group: its alternatives, each a sequence of parts with how often they occur."""

    def __init__(self) -> None:
        self.ways: list[list[tuple[_Tree, Repeat]]] = [[]]

    def may_be_empty(self) -> bool:
        return any(all(repeat.low == 0 or _may_be_empty(tree) for tree, repeat in way) for way in self.ways)


_Tree = _Choice | Ranges | str  # A text is ``^`` or ``$``.


def build(parts: tuple[Part, ...]) -> Tables | None:
    """Return the automaton of an expression that ecma262 has read, or None."""
    try:
        whole = _read(iter((*parts, ")")), 0)
        return _Subsets(_Graph(whole)).tables()
    except UnfitError:
        return None


def _read(parts: Iterator[Part], depth: int) -> _Choice:
    """Read what is written up to the end of a group."""
    if depth > MAX_DEPTH:
        raise UnfitError
    whole = _Choice()
    for part in parts:
        way = whole.ways[-1]
        if isinstance(part, Repeat):
            if _may_be_empty(way[-1][0]):
                raise UnfitError
            way[-1] = way[-1][0], part
        elif part == ")":
            break
        elif part == "|":
            whole.ways.append([])
        elif part == "(":
            way.append((_read(parts, depth + 1), ONCE))
        elif isinstance(part, tuple) or part in ("^", "$"):
            way.append((part, ONCE))
        else:
            raise UnfitError
    return whole


def _may_be_empty(tree: _Tree) -> bool:
    return tree.may_be_empty() if isinstance(tree, _Choice) else isinstance(tree, str)


class _Graph:
    """Thompson's automaton: it begins at node 0 and has matched at ``last``. A node has edges to others: ``steps`` take
    a character of a set; ``free`` ones take nothing, nor do those open ``at_start`` or ``at_end`` of a text."""

    def __init__(self, whole: _Choice) -> None:
        self.steps: list[list[tuple[Ranges, int]]] = []
        self.free: list[list[int]] = []
        self.at_start: list[list[int]] = []
        self.at_end: list[list[int]] = []
        self.last = self._add(whole, self._node())

    def _node(self) -> int:
        if len(self.steps) == MAX_NODES:
            raise UnfitError
        for edges in (self.steps, self.free, self.at_start, self.at_end):
            edges.append([])
        return len(self.steps) - 1

    def _add(self, tree: _Tree, node: int) -> int:
        """Add the edges of a part from a node, which has no other edges yet. Returns the node behind the part."""
        end = self._node()
        if isinstance(tree, _Choice):
            for way in tree.ways:
                at = self._node()
                self.free[node].append(at)
                for part, repeat in way:
                    at = self._repeat(part, repeat, at)
                self.free[at].append(end)
        elif isinstance(tree, tuple):
            self.steps[node].append((tree, end))
        else:
            (self.at_start if tree == "^" else self.at_end)[node].append(end)
        return end

    def _repeat(self, tree: _Tree, repeat: Repeat, node: int) -> int:
        if repeat == ONCE:
            return self._add(tree, node)
        end, times = self._node(), 0
        while times < repeat.high:
            if times >= repeat.low:
                self.free[node].append(end)
            first, node = node, self._add(tree, node)
            times += 1
            if repeat.high == float("inf") and times >= repeat.low:
                self.free[node].append(first)
                break
        self.free[node].append(end)
        return end


class _Subsets:
    """The automaton whose states are sets of nodes. A search can begin at every character, so node 0 is in all of
    them."""

    def __init__(self, graph: _Graph) -> None:
        self._graph = graph
        self._work = 0
        self._states: dict[tuple[frozenset[int], bool], int] = {}
        self._waiting: list[frozenset[int]] = []
        self._known: dict[frozenset[int], int] = {}
        self._accepting = bytearray(START)

    def tables(self) -> Tables:
        """Return the whole automaton. Raises UnfitError."""
        table = bytearray(CHARACTERS * START)
        ends = sorted({CHARACTERS, *self._ends()})
        first = self._reach((0,), at_start=True)
        if self._graph.last in first:
            return Tables(bytes(table) + bytes([FOUND]) * CHARACTERS, bytes([0, 1, 1]))
        self._number(first, at_start=True)
        for nodes in self._waiting:
            low = 0
            for end in ends:
                table += bytes([self._after(frozenset(self._step(nodes, low)))]) * (end - low)
                low = end
        return Tables(bytes(table), bytes(self._accepting))

    def _ends(self) -> Iterable[int]:
        """Return where sets of characters begin, and where they have ended."""
        for edges in self._graph.steps:
            for ranges, _ in edges:
                for low, high in ranges:
                    yield from (end for end in (low, high + 1) if 0 < end < CHARACTERS)

    def _after(self, stepped: frozenset[int]) -> int:
        """Return the state in which a character has led to these nodes."""
        known = self._known.get(stepped)
        if known is None:
            known = self._known[stepped] = self._number(self._reach((0, *stepped)))
        return known

    def _number(self, nodes: frozenset[int], *, at_start: bool = False) -> int:
        """Return the state of a set of nodes, a new one if there is none yet."""
        if self._graph.last in nodes:
            return FOUND
        accepts = self._graph.last in self._reach(nodes, at_start=at_start, at_end=True)
        going = frozenset(node for node in nodes if self._graph.steps[node])
        if not accepts and not going:
            return FAILED
        state = self._states.setdefault((going, accepts), START + len(self._states))
        if state == len(self._accepting):
            if len(self._states) > MAX_STATES:
                raise UnfitError
            self._accepting.append(accepts)
            self._waiting.append(going)
        return state

    def _step(self, nodes: Iterable[int], code: int) -> Iterator[int]:
        """Return the nodes that a character leads to."""
        for node in nodes:
            for ranges, target in self._graph.steps[node]:
                self._spend()
                if any(low <= code <= high for low, high in ranges):
                    yield target

    def _reach(self, nodes: Iterable[int], *, at_start: bool = False, at_end: bool = False) -> frozenset[int]:
        """Return these nodes and all that they lead to without a character."""
        found = set(nodes)
        waiting = list(found)
        for node in waiting:
            self._spend()
            more = set(self._graph.free[node])
            more |= {*(self._graph.at_start[node] if at_start else ()), *(self._graph.at_end[node] if at_end else ())}
            waiting += more - found
            found |= more
        return frozenset(found)

    def _spend(self) -> None:
        self._work += 1
        if self._work > MAX_WORK:
            raise UnfitError
