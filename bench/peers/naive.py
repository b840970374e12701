"""A plain server of the same parts: uvloop, httptools, orjson, fastjsonschema and confluent-kafka, put together.

Place: `python -m bench.peers.naive PORT BROKERS SCHEMAS`; the peer that the intake must not be worse than.
Rule: plain, but fair: what costs time is left out rather than done badly. Parse, find the schema by URI, fill in id and
time, validate, produce; guaranteed answers wait for every ack. The same producer settings as the intake's.
SCHEMAS is a JSON file, URI → schema, as for every peer.
Not here: limits, streams, keys, Kafka headers, fields from HTTP headers, error events, overload, drain.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import fastjsonschema
import httptools
import orjson
import uuid_utils
import uvloop
from confluent_kafka import Producer

POLL_S = 0.002
PRODUCER = {"acks": "all", "enable.idempotence": True, "linger.ms": 5, "client.id": "naive"}

Validate = Callable[[Any], Any]


def answer(status: str, body: bytes = b"") -> bytes:
    """A whole response."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class App:
    """Validators by URI, and one producer that is polled from the loop."""

    def __init__(self, brokers: str, schemas: dict[str, Any]) -> None:
        self.loop = asyncio.get_running_loop()
        self.producer = Producer({**PRODUCER, "bootstrap.servers": brokers})
        self.send = self.producer.produce
        self.validators: dict[str, Validate] = {uri: fastjsonschema.compile(schema) for uri, schema in schemas.items()}
        self.poll()

    def poll(self) -> None:
        """Serve delivery callbacks, again and again."""
        self.producer.poll(0)
        self.loop.call_later(POLL_S, self.poll)

    def produce(self, event: dict[str, Any], on_delivery: Callable[[Any, Any], None] | None) -> dict[str, Any] | None:
        """Take one event, or say what is wrong with it."""
        try:
            meta = event["meta"]
            now = datetime.now(UTC)
            if "dt" not in meta:
                meta["dt"] = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            if "id" not in meta:
                meta["id"] = str(uuid_utils.uuid7())
            self.validators[event["$schema"]](event)
            value = orjson.dumps(event)
            if on_delivery is None:
                self.send(meta["stream"], value, timestamp=int(now.timestamp() * 1000))
            else:
                self.send(meta["stream"], value, timestamp=int(now.timestamp() * 1000), on_delivery=on_delivery)
        except (KeyError, TypeError, fastjsonschema.JsonSchemaException) as error:
            return {"status": "invalid", "event": event, "context": {"message": str(error)}}
        except BufferError:
            return {"status": "error", "event": event, "context": {"message": "queue full"}}
        return None


class Waiting:
    """A guaranteed request: answered when the last ack is there. The first of ``left`` is the request itself."""

    def __init__(self, transport: asyncio.Transport, count: int) -> None:
        self.transport = transport
        self.count = count
        self.left = count + 1
        self.failures: list[dict[str, Any]] = []

    def on_delivery(self, error: Any, message: Any) -> None:
        """Count one ack."""
        if error is not None:
            self.failures.append({"status": "error", "context": {"message": "not delivered"}})
        self.settle(1)

    def settle(self, settled: int) -> None:
        """Answer when nothing is left."""
        self.left -= settled
        if self.left:
            return
        if not self.failures:
            self.transport.write(answer("201 Created"))
        else:
            status = "207 Multi-Status" if len(self.failures) < self.count else "400 Bad Request"
            self.transport.write(answer(status, orjson.dumps({"failures": self.failures})))


class Connection(asyncio.Protocol):
    """One connection. httptools calls the ``on_…`` methods."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._url = b""
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it to answer on."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass of it

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Forget the last request."""
        self._url = b""
        self._body = []

    def on_url(self, url: bytes) -> None:
        """Path and query, perhaps in pieces."""
        self._url += url

    def on_body(self, body: bytes) -> None:
        """The body, perhaps in pieces."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Parse, validate, produce, answer."""
        if self._url == b"/readyz":
            self._transport.write(answer("200 OK"))
            return
        try:
            parsed = orjson.loads(b"".join(self._body))
        except orjson.JSONDecodeError:
            self._transport.write(answer("400 Bad Request"))
            return
        events = parsed if isinstance(parsed, list) else [parsed]
        if b"hasty=true" in self._url or self._url.startswith(b"/v1/beacon"):
            for event in events:
                self._app.produce(event, None)
            self._transport.write(answer("202 Accepted"))
            return
        waiting = Waiting(self._transport, len(events))
        failures = [failure for event in events if (failure := self._app.produce(event, waiting.on_delivery))]
        waiting.failures += failures
        waiting.settle(len(failures) + 1)


async def serve(port: int, brokers: str, schemas: dict[str, Any]) -> None:
    """Serve until killed."""
    app = App(brokers, schemas)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(app), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2], orjson.loads(Path(sys.argv[3]).read_bytes())))
