"""The server without the statements of its hot path that one concern has put there: what does the concern cost?

Place: bench.micro.worker → HERE → the ``server`` package of that process alone.
Rules: statements are named by how they begin, and taken out of the source before it is compiled; one that is not there
any more, or twice, is an error, so the lists cannot grow stale. What is only part of an expression stays: comparisons
of 0.05 µs. Nothing is made faster besides.
Not here: what durability costs (bench.peers.undurable: it has whole functions of its own).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any, Final

# By module, what the statements begin with.
METRICS: Final[dict[str, tuple[str, ...]]] = {
    "server.http.protocol": (
        "server.requests += 1",
        "server.body_bytes += ",
        "(server.by_route.get(",
    ),
    "server.intake.receive": (
        "self._until_measured -= 1",  # One request in so many is timed.
        "if not self._until_measured:",
        "self.counts.received += count",
        "if began_s:",
    ),
    "server.intake.pipeline": ("route.judged.one_decode += 1",),
    "server.worker.process": ("self._measures.write()", "self._lags_s.append("),
}
LIMITS: Final[dict[str, tuple[str, ...]]] = {
    "server.http.protocol": (
        "self._requests_left -= 1",
        "if not self._requests_left:",
        "if not self._is_write_paused:\n            self.deadline",
        "self.deadline = self._deadlines[ANSWER]",
        "if not request.held_bytes:",
        "if request.held_bytes:",
    ),
    "server.http.reader": (
        "if self._server.in_flight_bytes + len(received) >",
        "if len(url) > self._bounds.max_url_bytes:",
        "if self._fed_bytes > bounds.sure_head_bytes:",
        "if len(headers) + self._repeats > bounds.max_headers:",
    ),
    "server.intake.pipeline": ("if len(raw) > self._sure_bytes and",),
}
CONCERNS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "metrics": METRICS,
    "limits": LIMITS,
    "rates": {},
}  # Rates: by settings.


class _Stripped(SourceFileLoader):
    """Loads a module without the statements that begin so."""

    def __init__(self, name: str, path: str, begins: Sequence[str]) -> None:
        super().__init__(name, path)
        self._begins = begins

    def get_code(self, fullname: str) -> CodeType:
        """Compile what is left; never from a cache."""
        path = self.get_filename(fullname)
        return compile(strip(self.get_source(fullname) or "", self._begins, path), path, "exec")


class _Finder(MetaPathFinder):
    """Before all others, for these modules alone."""

    def __init__(self, concern: dict[str, tuple[str, ...]]) -> None:
        self._concern = concern

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own place, and our loader."""
        begins = self._concern.get(fullname)
        spec = PathFinder.find_spec(fullname, path, target) if begins else None
        if begins and spec is not None and spec.origin is not None:
            spec.loader = _Stripped(fullname, spec.origin, begins)
        return spec


def install(concern: str) -> None:
    """From now on, modules of the server are imported without it."""
    sys.meta_path.insert(0, _Finder(CONCERNS[concern]))


def strip(source: str, begins: Sequence[str], name: str) -> ast.Module:
    """The module without these statements. Raises LookupError: one is not there, or several begin alike."""
    tree = ast.parse(source)
    found = dict.fromkeys(begins, 0)

    class _Stripper(ast.NodeTransformer):
        def generic_visit(self, node: ast.AST) -> Any:
            if isinstance(node, ast.stmt):
                text = ast.get_source_segment(source, node) or ""
                for begin in begins:
                    if text.startswith(begin):
                        found[begin] += 1
                        return ast.copy_location(ast.Pass(), node)
            return super().generic_visit(node)

    stripped: ast.Module = _Stripper().visit(tree)
    wrong = {begin: count for begin, count in found.items() if count != 1}
    if wrong:
        raise LookupError(f"{name}: statements that should be there once: {wrong}")
    return ast.fix_missing_locations(stripped)
