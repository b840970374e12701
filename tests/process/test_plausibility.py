"""Plausibility alarms of a real service: what was learned before its start is judged, shown, and handed on."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from server.plausibility.alarms import Alarm
from server.plausibility.model import StreamModel
from server.plausibility.state import Learned, LearnedState
from tests.harness.served import EXAMPLES, Served
from tests.process.scraped import Scrape, ask_admin

PER_MINUTE = 10
WEEKS = 3
ALARM = {"stream": "shop.order", "kind": "silent", "of": "", "severity": "ticket", "owner": ""}


def keep(directory: Path) -> int:
    """Store what was learned of a stream in the last weeks, and an alarm of it. Returns the minute of the alarm."""
    now = int(time.time() // 60)
    model = StreamModel(now - WEEKS * 7 * 1440)
    for minute in range(model.born, now):
        model.add(minute, PER_MINUTE)
    state = LearnedState(directory)
    assert state.take()
    state.write(Learned({"shop.order": model}, [Alarm("shop.order", "silent", now - 9, now - 1, 600.0, 0.0)]))
    state.release()
    return now - 9


def known(service: Served) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask_admin(service, "/plausibility")[2])
    return found


def test_an_alarm_of_before_a_start_is_shown_until_it_is_over_and_outlives_a_reload(tmp_path: Path) -> None:
    since = keep(tmp_path / "learned")
    with Served(tmp_path, workers=1, plausibility={"enabled": True, "path": "learned"}) as service:
        service.until(lambda: known(service)["alarms"])
        (alarm,) = known(service)["alarms"]
        assert (alarm["stream"], alarm["kind"], alarm["expected"], alarm["since_s"]) == (
            *("shop.order", "silent", 600),
            since * 60,
        )
        assert known(service)["streams"] == {"learning": 0, "learned": 1}
        scrape = Scrape.of(service)
        assert scrape.value("penstock_plausibility_alarm", **ALARM) == 1
        assert scrape.value("penstock_plausibility_seen_events", stream="shop.order") > 0
        assert scrape.value("penstock_plausibility_watched_streams", state="learned") == 1
        kind, page = ask_admin(service, "/plausibility", accept="text/html")[1:]
        assert kind.startswith("text/html") and "<td>shop.order<td>silent<td>600" in page
        assert "plausibility" in ask_admin(service, "/")[2]

        assert put(service, "web 4.2 is <deployed>")[0] == 200
        assert [put(service, text)[0] for text in ("", "two\nlines", "x" * 201)] == [400] * 3

        # Another port, because the old admin process serves until its workers have gone.
        service.write(workers=1, plausibility={"enabled": True, "path": "learned"}, intake={"error_stream": ""})
        service.reload()
        service.until(lambda: known(service)["alarms"] and known(service)["settings_read_s"] > alarm["since_s"])
        assert Scrape.of(service).value("penstock_plausibility_alarm", **ALARM) == 1


def put(service: Served, text: str) -> tuple[int, bytes]:
    """Announce a change."""
    with closing(http.client.HTTPConnection(*service.admin_address, timeout=60)) as connection:
        connection.request("PUT", "/plausibility/changes", text)
        response = connection.getresponse()
        return response.status, response.read()


def test_a_stream_says_its_owner_and_severity_and_without_the_setting_there_is_no_page(tmp_path: Path) -> None:
    keep(tmp_path / "learned")
    streams = json.dumps(
        {
            "streams": {
                "shop.order": {"schema_title": "shop/order", "alarms": {"owner": "shop-team", "severity": "page"}}
            }
        }
    )
    (tmp_path / "streams.yaml").write_text(streams)
    given = {"streams": {"sources": ["streams.yaml"]}, "schemas": {"base_uris": [str(EXAMPLES / "schemas")]}}
    with Served(tmp_path, workers=1, plausibility={"enabled": True, "path": "learned"}, **given) as service:
        service.until(lambda: known(service)["alarms"])
        scrape = Scrape.of(service)
        assert scrape.value("penstock_plausibility_alarm", **ALARM | {"owner": "shop-team", "severity": "page"}) == 1
        service.write(workers=1, **given)
        service.reload()
        service.until(lambda: ask_admin(service, "/plausibility")[0] == 404)
