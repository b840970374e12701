"""Faults that a canary names by its stage, through the real service, and how soon the canary process shows them."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from server.canary.state import CanaryState, read_state
from tests.harness.broker import free_ports
from tests.harness.served import EXAMPLES, Served
from tests.harness.site import Behaviour, Site, body
from tests.process.test_canary import STREAMS, canary, often, relay, url_of
from tests.server.canary.test_event import example, schema

STREAM = "shop.order"
ONE = ("--stream", STREAM)
LISTEN = {"listen": ["127.0.0.1:0"]}


def late(service: Served) -> Behaviour:
    """Pass a request on to the service, as one of an hour ago."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        event = json.loads(getattr(handler, "sent", b""))
        event["meta"]["dt"] = "2020-01-01T00:00:00Z"
        with closing(http.client.HTTPConnection(*service.address, timeout=60)) as connection:
            connection.request("POST", handler.path, json.dumps(event))
            with connection.getresponse() as response:
                body(response.read(), status=response.status)(handler)

    return answer


def test_a_wrong_clock_is_a_fault_of_the_clock(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1) as service, Site() as site:
        site.otherwise = late(service)
        code, (line,) = canary(service.settings_file, "once", *ONE, target=site.url())

    assert (code, line["stage"]) == (1, "clock")
    assert "before ours" in line["detail"]


def test_canaries_of_a_trusted_address_are_not_rate_limited(tmp_path: Path) -> None:
    limits = {"requests_per_s_per_address": 0.01, "burst_per_address": 1}
    with Served(tmp_path, workers=1, http={"trusted_proxies": ["127.0.0.1"], "limits": limits} | LISTEN) as service:
        code, lines = canary(service.settings_file, "once", target=url_of(service.address))

    assert (code, {line["stage"] for line in lines}) == (0, {"done"})
    assert len(lines) == len(STREAMS)


def test_the_services_own_canaries_are_not_rate_limited_whatever_the_address_does(tmp_path: Path) -> None:
    limits = {"requests_per_s_per_address": 0.01, "burst_per_address": 1}
    (port,) = free_ports(1)
    listen = {"listen": [f"127.0.0.1:{port}"], "limits": limits}
    own = {"enabled": True, "period_s": 2.0, "run_s": 2.0, "roundtrip_s": 2.0, "request_s": 2.0}
    with Served(tmp_path, workers=1, http=listen, canary=own) as service:
        directory = tmp_path / "var" / "canary"
        state = service.until(lambda: after(directory, 1))
        assert state is not None
        assert state.is_good, state.rows
        code, lines = canary(service.settings_file, "once", target=url_of(service.address))

    assert (code, {line["stage"] for line in lines}) == (1, {"http", "done"})  # This one is any client.


def test_a_schema_without_a_valid_example_is_a_fault_of_the_example(tmp_path: Path) -> None:
    path = tmp_path / "schemas" / "a" / "b" / "1.0.0.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(schema("1.0.0", examples=[example("/a/b/1.0.0", name=7)])))
    (tmp_path / "streams.yaml").write_text("streams: {one: {schema_title: a/b}}")
    given: dict[str, Any] = {
        "streams": {"sources": ["streams.yaml"]},
        "schemas": {"base_uris": ["schemas", str(EXAMPLES / "schemas")]},
        "intake": {"error_stream": ""},
    }
    with Served(tmp_path, workers=1, **given) as service:
        code, (line,) = canary(service.settings_file, "once", target=url_of(service.address))

    assert (code, line["stage"]) == (1, "example")


def lose(service: Served, site: Site) -> None:
    site.says("/v1/events", body("", status=201))


def hang_up(service: Served, site: Site) -> None:
    site.says("/v1/events", lambda handler: handler.connection.close())


def set_clock(service: Served, site: Site) -> None:
    site.says("/v1/events", late(service))


def damage(service: Served, site: Site) -> None:
    """Put a file among those of the sink which no consumer can read."""
    (service.settings_file.parent / "events" / "events-9.db").write_bytes(b"no database" * 1000)


def schemas_of(directory: Path) -> dict[str, Any]:
    """Copy the example schemas, so that a test can add to them. Returns the section of the settings."""
    shutil.copytree(EXAMPLES / "schemas", directory / "schemas")
    return {"base_uris": ["schemas"]}


def spoil_example(service: Served, site: Site) -> None:
    """Release a version of the schema whose first example is not valid."""
    versions = service.settings_file.parent / "schemas" / "shop" / "order"
    text = (versions / "1.0.0.yaml").read_text().replace("/shop/order/1.0.0", "/shop/order/1.9.0")
    (versions / "1.9.0.yaml").write_text(text.replace("order_id: A-1001", "order_id: ''"))
    service.reload()


@pytest.mark.parametrize(
    ("fault", "stage"),
    [(lose, "sqlite"), (hang_up, "http"), (set_clock, "clock"), (damage, "consumer"), (spoil_example, "example")],
)
def test_the_first_run_that_begins_after_a_fault_shows_it(
    tmp_path: Path, fault: Callable[[Served, Site], None], stage: str
) -> None:
    """A run begins once per period and ends within ``canary.run_s``, which is no longer than a period."""
    schemas = schemas_of(tmp_path)
    with Site() as site:
        services: list[Served] = []
        site.otherwise = relay(services)
        with Served(tmp_path, workers=1, canary=often(site), schemas=schemas) as service:
            services.append(service)
            directory = tmp_path / "var" / "canary"
            service.until(lambda: (state := read_state(directory)) is not None and state.is_good)
            fault(service, site)
            good = read_state(directory)
            assert good is not None
            under_way = good.runs + 1  # It may have begun before the fault.
            state = service.until(lambda: after(directory, under_way))

            assert state is not None
            assert {row.stage for row in state.rows if row.stream == STREAM} == {stage}
            service.signal(signal.SIGTERM)
            service.exit_code()


def after(directory: Path, runs: int) -> CanaryState | None:
    """Return the state of a later run than this one."""
    state = read_state(directory)
    return state if state is not None and state.runs > runs else None
