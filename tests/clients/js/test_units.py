"""The JavaScript client's own tests run: vectors, core, persistence, developer mode, package and its budgets of size."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.clients.js.conftest import CLIENT


@pytest.mark.slow(reason="builds the client and runs its tests")
def test_the_tests_of_the_client_pass(built: Path) -> None:
    done = subprocess.run(["npm", "test"], cwd=CLIENT, capture_output=True, text=True, timeout=200)

    failed = re.findall(r"^\s*not ok .*(?:\n(?!\s*(?:ok|not ok)).*){0,25}", done.stdout, re.MULTILINE)
    assert done.returncode == 0, "\n".join(failed) or done.stdout[-2000:] + done.stderr
    assert re.search(r"^# pass [1-9]", done.stdout, re.MULTILINE)
