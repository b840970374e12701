"""Programs that are killed while they send to the real service lose nothing that was on disk."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path

import pytest

from tests.clients.python.conftest import STREAM
from tests.clients.python.test_processes import run, submitted
from tests.harness.served import Served

KILLS = os.environ.get("KILLS", "20")
WITHIN_S = 240.0 + 3 * int(KILLS)  # For a busy machine.
OF_THE_REQUEST = ("dt", "request_id")  # The service writes these members of meta, for each request anew.


@pytest.mark.timeout(2 * WITHIN_S)
@pytest.mark.slow(reason="it kills 20 processes, or as many as KILLS says")
def test_killed_at_random_points_no_event_on_disk_is_lost_or_gets_another_id(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with Served(tmp_path) as service:
        url = "http://{}:{}".format(*service.address)
        killed = run("is_killed", url, str(spool), KILLS, "17", within_s=WITHIN_S)
        last = run("sends_stored", url, str(spool), within_s=WITHIN_S)
        records = service.events(STREAM)
    bodies: dict[str, set[str]] = defaultdict(set)
    ids: dict[str, set[str]] = defaultdict(set)
    for record in records:
        event = json.loads(record["value"]) if isinstance(record["value"], str) else record["value"]
        for name in OF_THE_REQUEST:
            event["meta"].pop(name, None)
        bodies[event["meta"]["id"]].add(json.dumps(event, sort_keys=True))
        ids[event["page"]].add(event["meta"]["id"])
    stored = submitted(killed)
    print(f"kills {KILLS}: on disk {len(stored)}, accepted {len(bodies)}, repeated {len(records) - len(bodies)}")

    assert (killed.returncode, last.returncode) == (0, 0), killed.stderr + last.stderr
    assert stored
    assert set(stored) <= bodies.keys()
    # An id that was not said was written to disk before the kill came between that and the word.
    assert len(bodies.keys() - set(stored)) <= int(KILLS)
    assert all(len(found) == 1 for found in bodies.values()), "a repetition is the same event"
    assert all(len(found) == 1 for found in ids.values()), "no event gets a second id"
    assert list(spool.glob("*.sqlite")) == []
