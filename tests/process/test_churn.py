"""A service whose processes are killed, told to drain and reloaded all the time, over the embedded sink."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.harness.served import Served
from tests.process.churn import CHURN_S, assert_kept, churn
from tests.process.load import STREAM


@pytest.mark.timeout(CHURN_S * 2 + 240)
def test_only_a_kill_breaks_connections_and_what_was_guaranteed_is_there_once(tmp_path: Path) -> None:
    with Served(tmp_path, drain_s=30.0) as service:
        outcomes, kills = churn(service)
        service.signal(signal.SIGTERM)
        code = service.exit_code()
        stored = Counter(event["value"]["count"] for event in service.events() if event["topic"] == STREAM)

        assert_kept(outcomes, kills, stored)
        assert code == 0
        assert "unexpected" not in service.log()
