"""The last line of a run that has missed a proxy: a skipped judge is not a passed test."""

from __future__ import annotations

import pytest

from tests.two_hop.proxies import LACK, LACKING


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not run."""
    for name in sorted(LACKING):
        terminalreporter.write_line(f"Proxies: tests skipped because of {LACK.format(name)}", yellow=True)
