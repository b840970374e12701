"""Read the schemas as they were released: from a directory, or from a state that git has.

Place: check, diff → HERE → versions.
Rules: git is asked for a state by ``git archive``; nothing is checked out, and the directory that is compared does not
change. A name that begins with a dash is no state.
Not here: what is compared (check).
"""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.errors import UsageError

_PATIENCE_S = 60


@contextmanager
def released(against: str, directory: Path) -> Iterator[Path]:
    """Yield a directory with the released state of ``directory``. Raises UsageError."""
    if Path(against).is_dir():
        yield Path(against)
        return
    if against.startswith("-"):
        raise UsageError(f"{against!r} is neither a directory nor a state in git")
    with tempfile.TemporaryDirectory(prefix="penstock-schemas-") as name:
        archive = _git(directory, "archive", "--format=tar", against, "--", ".")
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(name, filter="data")
        yield Path(name)


def _git(directory: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(directory), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"git cannot be asked: {error}") from None
    if done.returncode:
        text = done.stderr.decode(errors="replace").strip()
        raise UsageError(f"{arguments[2]!r} is neither a directory nor a state in git: {text}")
    return done.stdout
