"""The real program on the embedded sink: it reads what the intake stores, as a service that drains and is replaced."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

from tests.harness.streaming import Intake, Streams

# Of the example streams.
OPEN = "schema_title: shop/order\n    consumers: {eventstreams: {enabled: true}}"


def open_to(streams: Streams, names: str, **headers: str) -> set[str]:
    """Return the topics that a request for these names reads."""
    with streams.open(f"/v2/stream/{names}?poll=1", **headers) as stream:
        return {entry["topic"] for entry in json.loads(stream.response.headers["Last-Event-ID"])}


def test_events_go_from_the_intake_to_consumers_through_sqlite(tmp_path: Path) -> None:
    with Intake(tmp_path, workers=2) as intake, Streams(tmp_path) as streams:
        intake.post("/before")
        with streams.open("/v2/stream/web.page_view?since=earliest") as stream:
            assert stream.pages(1) == ["/before"]
            for number in range(20):
                intake.post(f"/{number}/a", f"/{number}/b")
            pages = stream.pages(40)
            last_id = stream.last_id

        assert sorted(pages) == sorted(f"/{number}/{letter}" for number in range(20) for letter in "ab")
        assert intake.children().isdisjoint(streams.children())
        intake.post("/after")
        with streams.open("/v2/stream/web.page_view", Last_Event_ID=last_id) as stream:
            assert stream.pages(1) == ["/after"]


def test_a_position_that_sqlite_no_longer_has_is_answered_410(tmp_path: Path) -> None:
    with Intake(tmp_path) as intake, Streams(tmp_path) as streams:
        intake.post("/1")
        position = '[{"topic":"web.page_view","partition":0,"offset":9}]'
        with streams.open("/v2/stream/web.page_view", Last_Event_ID=position) as stream:
            assert stream.response.status == 410
            assert json.loads(stream.response.read())["gaps"][0]["latest"] == 2


def test_a_drain_ends_streams_and_then_the_program(tmp_path: Path) -> None:
    with Intake(tmp_path) as intake, Streams(tmp_path, {"drain_s": 2.0}) as streams:
        opened = [streams.open("/v2/stream/web.page_view").opened() for _ in range(5)]
        intake.post("/1")
        assert [stream.pages(1) for stream in opened] == [["/1"]] * 5
        streams.signal(signal.SIGTERM)
        assert [list(stream.events()) for stream in opened] == [[]] * 5

        assert streams.exit_code() == 0
        assert "a stream has ended (drain)" in streams.log()


def test_a_worker_that_dies_is_replaced_and_its_clients_go_on_where_they_were(tmp_path: Path) -> None:
    with Intake(tmp_path) as intake, Streams(tmp_path, {"limits": {"max_clients_per_address": 1}}) as streams:
        with streams.open("/v2/stream/web.page_view").opened() as stream:
            intake.post("/1")
            assert stream.pages(1) == ["/1"]
            (worker,) = streams.workers()
            os.kill(worker, signal.SIGKILL)
            assert list(stream.events()) == []
        intake.post("/2")
        streams.until(lambda: len(streams.workers() - {worker}) == 1)
        with streams.open("/v2/stream/web.page_view", Last_Event_ID=stream.last_id) as again:
            assert again.pages(1) == ["/2"]


def test_the_limit_of_an_address_holds_over_all_workers(tmp_path: Path) -> None:
    own: dict[str, Any] = {"workers": 3, "limits": {"max_clients_per_address": 4}}
    with Intake(tmp_path), Streams(tmp_path, own) as streams:
        opened = [streams.open("/v2/stream/web.page_view") for _ in range(8)]
        assert sorted(stream.response.status for stream in opened) == [200] * 4 + [429] * 4
        for stream in opened:
            stream.close()

        streams.until(lambda: streams.status("/v2/stream/web.page_view") == 200)


def test_metrics_status_and_pages_are_those_of_this_program(tmp_path: Path) -> None:
    with Intake(tmp_path) as intake, Streams(tmp_path) as streams:
        with streams.open("/v2/stream/web.page_view").opened() as stream:
            intake.post("/1", "/2")
            stream.pages(2)

            def metrics() -> str:
                return streams.get("/metrics", is_admin=True)[1].decode()

            streams.until(
                lambda: 'penstock_eventstreams_stream_deliveries_total{stream="web.page_view"} 2.0' in metrics()
            )
            text = metrics()
            assert 'penstock_eventstreams_stream_clients{stream="web.page_view"} 1.0' in text
            assert "penstock_events_received" not in text
            assert "127.0.0.1" not in text
        status = json.loads(streams.get("/status", is_admin=True)[1])
        assert status["counts"]["eventstreams_deliveries"] == 2
        described = json.loads(streams.get("/?spec")[1])
        assert "/v2/stream/web.page_view" in described["paths"]
        for path in (
            "/v2/streams",
            "/healthz",
            "/readyz",
            "/_info",
            "/v2/ui",
            "/v2/ui.js",
            "/v2/ui.css",
            "/robots.txt",
        ):
            assert streams.get(path)[0] == 200
        assert streams.get("/v2/stream/web.page_view/latest?n=1")[0] == 200


def test_new_streams_are_taken_up_without_a_restart(tmp_path: Path) -> None:
    with Intake(tmp_path) as intake, Streams(tmp_path) as streams:
        stays = streams.open("/v2/stream/web.page_view").opened()
        with stays:
            with streams.open("/v2/stream/shop.order").opened() as ends:
                file = tmp_path / "streams.yaml"
                text = file.read_text()
                file.write_text(
                    text.replace(OPEN, "schema_title: shop/order\n    consumers: {eventstreams: {enabled: false}}")
                )
                streams.reload()
                (end,) = list(ends.events())
            intake.post("/1")

            assert end["type"] == "changed"
            assert stays.pages(1) == ["/1"]
            assert streams.status("/v2/stream/shop.order") == 400


def test_a_key_opens_a_stream_that_asks_for_one(tmp_path: Path) -> None:
    from server.auth.api_keys import hashed, new_key

    keys = {name: new_key() for name in ("reader", "other")}
    entries = [{"name": name, "hash": str(hashed(key))} for name, key in keys.items()]
    with Intake(tmp_path), Streams(tmp_path, auth={"keys": entries}) as streams:
        file = tmp_path / "streams.yaml"
        guarded = "consumers: {eventstreams: {enabled: true, auth: api_keys, api_keys: [reader]}}"
        file.write_text(file.read_text().replace(OPEN, f"schema_title: shop/order\n    {guarded}"))
        streams.reload()

        def status(**headers: str) -> int:
            return streams.status("/v2/stream/web.page_view,shop.order", **headers)

        assert status() == 401
        assert status(Authorization=f"Bearer {keys['other']}") == 403
        assert status(Authorization=f"Bearer {keys['reader']}") == 200
        assert status(Cookie=f"Authorization={keys['reader']}") == 401
        assert streams.status("/v2/stream/shop.*") == 401
        without_a_key = open_to(streams, "*")
        assert ("web.page_view" in without_a_key, "shop.order" in without_a_key) == (True, False)
        with_the_key = open_to(streams, "*", Authorization=f"Bearer {keys['reader']}")
        assert with_the_key == without_a_key | {"shop.order"}


def test_a_sink_that_stores_nothing_has_no_consumers(tmp_path: Path) -> None:
    streams = Streams(tmp_path, sink={"kind": "memory"})

    assert streams.exit_code() == 3
    assert "stores no events" in streams.log()
