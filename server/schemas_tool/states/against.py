"""Read the schemas as they were released: from a directory, from git, from an archive at a URL, or from a service.

Place: commands.schemas → HERE → states.git, states.remote.
Rules: the directory that is compared does not change. A name that begins with a dash is no state.
Not here: what is compared (check).
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from server.errors import UsageError
from server.schemas_tool.states import git, remote


@contextmanager
def released(against: str, directory: Path, titles: Collection[str]) -> Iterator[Path]:
    """Yield a directory with the released state of ``directory``; a service is asked for ``titles`` alone, since it may
    have schemas of other repositories. Raises UsageError."""
    if Path(against).is_dir():
        yield Path(against)
        return
    if against.startswith("-"):
        raise UsageError(f"{against!r} is neither a directory nor a state in git")
    with tempfile.TemporaryDirectory(prefix="penstock-schemas-") as name:
        if urlsplit(against).scheme in ("http", "https"):
            yield remote.read(against, Path(name), titles)
        else:
            git.read(against, directory, Path(name))
            yield Path(name)
