"""The client's own tests run: vectors, core, persistence, developer mode, its package and its budgets of size."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.clients.js.conftest import CLIENT, missing


@pytest.mark.slow(reason="builds the client and runs its tests")
@pytest.mark.timeout(400)
def test_the_tests_of_the_client_pass(built: Path) -> None:
    environ = {**os.environ, "BUILT": str(built)}
    done = subprocess.run(["npm", "test"], cwd=CLIENT, env=environ, capture_output=True, text=True, timeout=350)

    failed = re.findall(r"^\s*not ok .*(?:\n(?!\s*(?:ok|not ok)).*){0,25}", done.stdout, re.MULTILINE)
    assert done.returncode == 0, "\n".join(failed) or done.stdout[-2000:] + done.stderr
    assert re.search(r"^# pass [1-9]", done.stdout, re.MULTILINE)


def test_what_is_missing_is_a_skip_and_where_browsers_are_required_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUIRE_BROWSERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="there is no Firefox"):
        missing("Firefox")

    monkeypatch.setenv("REQUIRE_BROWSERS", "1")
    with pytest.raises(pytest.fail.Exception, match="there is no Firefox"):
        missing("Firefox")
