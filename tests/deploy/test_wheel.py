"""`deploy/wheel` builds what it pins."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

from server.version import VERSION
from tests.harness.running import ROOT


def test_the_wheel_is_pinned_by_hash_with_all_that_it_needs(tmp_path: Path) -> None:
    environ = os.environ | {"PYTHON": sys.executable}
    command = [str(ROOT / "deploy" / "wheel"), str(tmp_path)]
    said = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=200).stdout
    wheel = Path(said.strip())
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()

    assert wheel.name == f"penstock-{VERSION}-py3-none-any.whl"
    for name, kind in (("requirements.txt", "runtime.txt"), ("requirements-otel.txt", "otel.txt")):
        text = (tmp_path / name).read_text()
        pinned = dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))
        assert text.endswith(f"penstock=={VERSION} \\\n    --hash=sha256:{digest}\n")
        assert text.startswith((ROOT / "requirements" / kind).read_text())
        assert pinned["penstock"] == VERSION and "://" not in text
