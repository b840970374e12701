"""The whole service with ``profile: external``: its bounds are in force, and honest clients notice none of them."""

from __future__ import annotations

import http.client
import json
from pathlib import Path

from tests.harness.served import Served
from tests.process.test_answers import VALID


def test_strangers_are_bounded_and_honest_clients_notice_nothing(tmp_path: Path) -> None:
    limits = {"burst_per_address": 4, "requests_per_s_per_address": 0.01}
    with Served(tmp_path, profile="external", workers=1, http={"listen": ["127.0.0.1:0"], "limits": limits}) as service:
        connection = http.client.HTTPConnection(*service.address, timeout=60)
        deep = {**VALID, "odd": json.loads("[" * 70 + "]" * 70)}
        got = []
        for body in (VALID, [VALID, deep], [VALID] * 1001, VALID, VALID):
            connection.request("POST", "/v1/events", json.dumps(body), {"content-type": "application/json"})
            answer = connection.getresponse()
            got.append((answer.status, answer.read()))
            wait_s = answer.headers["retry-after"]
        connection.close()

    assert [status for status, _ in got] == [201, 207, 413, 201, 429]
    assert json.loads(got[1][1])["invalid"][0]["context"]["error_type"] == "event_too_large"
    assert 1 <= int(wait_s or 0) <= 100  # A hundred less what the requests took.
