"""The units verify, and expose little: asked of systemd itself, where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.running import ROOT

UNITS = ROOT / "deploy" / "systemd"
MOST_EXPOSED = 1.5  # systemd calls everything below 2 "OK"; the unit has 1.2 by systemd 252.

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze here (Debian: apt install systemd)"
)


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=60)


def placed(directory: Path, text: str) -> None:
    """The units as they would be installed, but with a program that is there."""
    for unit in UNITS.iterdir():
        there = unit.read_text(encoding="utf-8").replace("/opt/penstock/.venv/bin/penstock", sys.executable)
        (directory / unit.name).write_text(there + text * (unit.suffix == ".service"), encoding="utf-8")


def test_the_units_verify(tmp_path: Path) -> None:
    placed(tmp_path, "")
    done = analyze("verify", "--man=no", *(tmp_path / unit.name for unit in UNITS.iterdir()))

    assert (done.returncode, done.stderr) == (0, "")


def test_a_mistake_in_a_unit_would_be_seen(tmp_path: Path) -> None:
    placed(tmp_path, "[Service]\nProtectHoem=yes\n")
    done = analyze("verify", "--man=no", tmp_path / "penstock.service")

    assert "ProtectHoem" in done.stderr


@pytest.mark.parametrize("unit", ["penstock.service", "penstock-eventstreams.service"])
def test_the_services_expose_little(unit: str) -> None:
    done = analyze("security", "--offline=true", "--no-pager", UNITS / unit)
    level = re.search(rf"Overall exposure level for {unit}: ([\d.]+)", done.stdout)

    assert level and float(level[1]) <= MOST_EXPOSED, done.stdout
