"""`deploy/wheel` builds what it pins: a pure wheel, and a compiled one where the hot path is or can be compiled."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from server.compiled import finder
from server.version import VERSION
from tests.harness.running import ROOT

PURE = f"penstock-{VERSION}-py3-none-any.whl"
SAY = "from server.compiled import finder; import server.intake.receive as m; print(finder.mode().name, m.__file__)"


def built(place: Path, **environ: str) -> list[Path]:
    """The wheels that it says it has made."""
    command = [str(ROOT / "deploy" / "wheel"), str(place)]
    environment = os.environ | {"PYTHON": sys.executable} | environ
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=200)
    return [Path(line) for line in done.stdout.split()]


def test_the_wheel_is_pinned_by_hash_with_all_that_it_needs(tmp_path: Path) -> None:
    (wheel,) = built(tmp_path, PENSTOCK_PURE="1")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()

    assert wheel.name == PURE
    for name, kind in (("requirements.txt", "runtime.txt"), ("requirements-otel.txt", "otel.txt")):
        text = (tmp_path / name).read_text()
        pinned = dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))
        assert text.endswith(f"penstock=={VERSION} \\\n    --hash=sha256:{digest}\n")
        assert text.startswith((ROOT / "requirements" / kind).read_text())
        assert pinned["penstock"] == VERSION and "://" not in text


@pytest.mark.skipif(finder.mode().name != finder.COMPILED, reason="nothing is compiled: make compile")
def test_the_compiled_wheel_runs_compiled_and_can_be_told_not_to(tmp_path: Path) -> None:
    wheels = built(tmp_path)
    (compiled,) = [wheel for wheel in wheels if wheel.name != PURE]
    with zipfile.ZipFile(compiled) as opened:
        opened.extractall(tmp_path / "site")
    said = {}
    for pure in ("0", "1"):
        environ = os.environ | {"PYTHONPATH": str(tmp_path / "site"), finder.PURE: pure}
        command = [sys.executable, "-c", SAY]
        said[pure] = subprocess.run(
            command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout
    pinned = (tmp_path / "requirements.txt").read_text().partition("\npenstock==")[2]

    assert re.fullmatch(rf"penstock-{VERSION}-cp3\d+-cp3\d+-linux_\w+\.whl", compiled.name)
    assert {wheel.name for wheel in wheels} == {PURE, compiled.name}
    assert said["0"].startswith(f"compiled {tmp_path / 'site/server/compiled/built'}")
    assert said["1"].startswith(f"interpreted {tmp_path / 'site/server/intake/receive.py'}")
    assert sorted(re.findall(r"sha256:(\w+)", pinned)) == sorted(
        hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels
    )
