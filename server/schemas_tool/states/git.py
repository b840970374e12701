"""Read a directory as a commit, branch or tag of git has it, and find files that are not committed.

Place: states.against, commands.schemas.materialize → HERE → the program git, states.archive.
Rules: a state is read by ``git archive``, so that nothing is checked out.
Not here: which of several states is meant (states.against).
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from server.errors import UsageError
from server.schemas_tool.states.archive import unpack

_PATIENCE_S = 60


def read(state: str, directory: Path, into: Path) -> None:
    """Write the files below ``directory`` as they are in a state. Raises UsageError."""
    wrong = f"{state!r} is neither a directory nor a state in git"
    archive = _git(directory, wrong, "archive", "--format=tar", state, "--", ".")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        unpack(files, into)


def changed_below(directory: Path) -> set[Path]:
    """Return the files below ``directory`` that differ from the last commit, or are not in git. Raises UsageError."""
    wrong = f"{directory} is not in a repository of git with a commit"
    changed = _git(directory, wrong, "diff", "--name-only", "--relative", "-z", "HEAD", "--", ".")
    others = _git(directory, wrong, "ls-files", "--others", "--exclude-standard", "-z", "--", ".")
    names = (changed + others).decode("utf-8", "surrogateescape").split("\0")
    return {directory / name for name in names if name}


def _git(directory: Path, wrong: str, *arguments: str) -> bytes:
    command = ["git", "-C", str(directory), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"git cannot be asked: {error}") from None
    if done.returncode:
        raise UsageError(f"{wrong}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
