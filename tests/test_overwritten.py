"""A package of another project that was installed over ours is told, with what to do about it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from server.errors import EXIT_FOUND
from tests.harness.running import ROOT


@pytest.mark.parametrize("command", ["check", "serve", "validate"])
def test_another_package_of_the_name_validators_is_told(tmp_path: Path, command: str) -> None:
    """As after ``pip install validators`` into the same environment: only some of its files have our names."""
    for package in ("server", "eventstreams", "processors", "soak"):
        (tmp_path / package).symlink_to(ROOT / package)
    (tmp_path / "validators").mkdir()
    for path in (ROOT / "validators").iterdir():
        if path.name != "__init__.py":
            (tmp_path / "validators" / path.name).symlink_to(path)
    (tmp_path / "validators" / "__init__.py").write_text("from validators.registry import ValidationError\n")
    done = subprocess.run(
        [sys.executable, "-m", "server", command],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == EXIT_FOUND
    assert f"found at {tmp_path / 'validators' / '__init__.py'}. Another package of that name" in done.stderr
    assert "virtual environment of its own" in done.stderr and "Traceback" not in done.stderr
