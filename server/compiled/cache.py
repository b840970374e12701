"""Find the compiled form of the present sources on disk, or say why there is none.

Place: server.compiled.finder → HERE; server.compiled.build writes what is found here.
Rules: a compiled form serves exactly the sources it was made of. Its directory has the name of a hash of the listed
modules and the Python; ``manifest.json`` in it has a hash of every other source whose types and constants went into it.
Not here: importing it (server.compiled.finder), making it (server.compiled.build).
"""

from __future__ import annotations

import json
import sysconfig
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from server.compiled.modules import C_SOURCES, LIBRARY, MODULES

ROOT: Final = Path(__file__).resolve().parents[2]
# In a wheel, beside this file; in a working copy, where git does not look.
IN_WHEEL: Final = "server/compiled/built"
IN_TREE: Final = "build/compiled"
BUILD: Final = "server/compiled/build.py"
MANIFEST: Final = "manifest.json"
SUFFIX: Final = sysconfig.get_config_var("EXT_SUFFIX") or ".so"

NEVER: Final = "nothing is compiled: make compile does it where there is a C compiler"
CHANGED: Final = "the sources have changed since they were compiled: make compile does it again"


class Found(NamedTuple):
    """The library that holds the compiled modules; None: there is none, and ``why``."""

    library: Path | None
    why: str = ""


def path_of(module: str) -> str:
    """Return the source of a module, as seen from the root."""
    return module.replace(".", "/") + ".py"


def digest(content: bytes) -> str:
    """Return the hash of a source."""
    return blake2b(content, digest_size=16).hexdigest()


def key(root: Path = ROOT, modules: Sequence[str] = MODULES) -> str:
    """Return the name of the directory for the present sources and this Python."""
    sources = [BUILD, *map(path_of, modules), *C_SOURCES]
    parts = [SUFFIX.encode(), *(path.encode() + b"\0" + (root / path).read_bytes() for path in sources)]
    return digest(b"\0".join(parts))


def find(root: Path = ROOT, modules: Sequence[str] = MODULES) -> Found:
    """Look for the compiled form of the present sources."""
    try:
        name = key(root, modules)
    except OSError as error:
        return Found(None, f"a source cannot be read: {error}")
    why = NEVER
    for place in (root / IN_WHEEL, root / IN_TREE):
        if (place / name / MANIFEST).is_file():
            found = _judge(place / name, root)
            if found.library is not None:
                return found
            why = found.why
        elif place.is_dir() and any(place.glob(f"*/{MANIFEST}")):
            why = CHANGED
    return Found(None, why)


def _judge(directory: Path, root: Path) -> Found:
    try:
        used: dict[str, str] = json.loads((directory / MANIFEST).read_bytes())
        changed = [path for path, known in used.items() if digest((root / path).read_bytes()) != known]
    except (OSError, ValueError) as error:
        return Found(None, f"{directory} cannot be used: {error}")
    if changed:
        return Found(None, f"{CHANGED} ({changed[0]})")
    return Found(directory / f"{LIBRARY}{SUFFIX}")
