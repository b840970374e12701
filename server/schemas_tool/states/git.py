"""Read a directory as a commit, branch or tag of git has it.

Place: states.against → HERE → the program git.
Rules: git is asked by ``git archive``, so that nothing is checked out.
Not here: which of several states is meant (states.against).
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from server.errors import UsageError

_PATIENCE_S = 60


def read(state: str, directory: Path, into: Path) -> None:
    """Write the files below ``directory`` as they are in a state. Raises UsageError."""
    archive = _git(directory, "archive", "--format=tar", state, "--", ".")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(into, filter="data")


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
