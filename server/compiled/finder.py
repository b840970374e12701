"""Import the listed modules in their compiled form where there is one, and know which form runs.

Place: server/__init__.py installs it before any other module of the server is imported.
Rules: it decides once in a process, when the first listed module is imported or ``mode`` is asked for, and for all of
them. ``PENSTOCK_PURE=1`` means the sources. A compiled form that cannot be loaded is no fault: the sources run.
Not here: which form belongs to which sources (server.compiled.cache).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Final, NamedTuple

from server.compiled.modules import BINDING, LIBRARY, MODULES, initialiser

COMPILED: Final = "compiled"
INTERPRETED: Final = "interpreted"
PURE: Final = "PENSTOCK_PURE"


class Mode(NamedTuple):
    """How the listed modules run: COMPILED, or INTERPRETED and why."""

    name: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.why})" if self.why else self.name


class CompiledLoader(ExtensionFileLoader):
    """Makes one module out of the library of all."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Have the library make it, which runs it as well."""
        # The library holds its functions by full names; CPython looks for one by the last part of a name.
        inner = ModuleSpec(f"{LIBRARY}.{initialiser(spec.name)}", self, origin=self.path)
        module = super().create_module(inner)
        sys.modules.pop(inner.name, None)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: it has run."""


class CompiledFinder:
    """Serves the listed modules. ``library`` is what it serves them from; None: their sources are imported."""

    def __init__(self, modules: Sequence[str] = MODULES) -> None:
        self._modules = frozenset(modules)
        self._mode: Mode | None = None
        self._library = ""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return the compiled form of a module; None: the next finder looks for it."""
        if (name not in self._modules and name != BINDING) or self.mode().name != COMPILED:
            return None
        spec = ModuleSpec(name, CompiledLoader(name, self._library), origin=self._library)
        spec.has_location = True
        return spec

    def mode(self) -> Mode:
        """Return how the listed modules run in this process."""
        if self._mode is None:
            self._mode = self._decide()
        return self._mode

    def _decide(self) -> Mode:
        if os.environ.get(PURE, "") not in ("", "0"):
            return Mode(INTERPRETED, f"{PURE} is set")
        early = sorted(self._modules & sys.modules.keys())
        if early:
            return Mode(INTERPRETED, f"{early[0]} was imported before")
        from server.compiled import cache  # Here: a process that imports no listed module need not load it.

        found = cache.find()
        if found.library is None:
            return Mode(INTERPRETED, found.why)
        self._library = str(found.library)
        try:
            load(self._library)
        except ImportError as error:
            return Mode(INTERPRETED, f"{self._library} cannot be loaded: {error}")
        return Mode(COMPILED)


def load(library: str) -> None:
    """Load the library, in which no module has run yet."""
    spec = spec_from_file_location(LIBRARY, library)
    if spec is None:
        raise ImportError(f"{library} has the name of no extension")
    module = module_from_spec(spec)
    sys.modules[LIBRARY] = module


_FINDER: Final = CompiledFinder()


def install() -> None:
    """Ask this finder before all others."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def mode() -> Mode:
    """Return how the listed modules run in this process."""
    return _FINDER.mode()
