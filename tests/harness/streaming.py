"""The real program next to a real intake: ``with Intake(tmp_path) as intake, Streams(tmp_path) as streams``.

Rule: both read one file of settings, as in production.
Not here: the harness of processes (tests.harness).
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.harness.running import PATIENCE_S
from tests.harness.served import EXAMPLES, Served

DECLARED = "default_settings:\n  consumers: {eventstreams: {enabled: true}}\n"
OWN: dict[str, Any] = {"listen": ["127.0.0.1:0"], "admin_listen": "127.0.0.1:0"}


def settings(directory: Path, **own: Any) -> dict[str, Any]:
    """Return settings of both programs; the example streams are public."""
    text = (EXAMPLES / "streams.yaml").read_text().replace("default_settings:\n", DECLARED)
    (directory / "streams.yaml").write_text(text)
    return {"streams": {"sources": [str(directory / "streams.yaml")]}, "eventstreams": OWN | own}


class Intake(Served):
    """The intake."""

    def __init__(self, directory: Path, /, **more: Any) -> None:
        super().__init__(directory, **{"workers": 1, **settings(directory), **more})

    def post(self, *pages: str) -> None:
        """Send events of web.page_view, and wait until they are stored."""
        events = [
            {"$schema": "/web/page_view/1.1.0", "meta": {"stream": "web.page_view"}, "page": page} for page in pages
        ]
        connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE_S)
        connection.request("POST", "/v1/events", json.dumps(events), {"content-type": "application/json"})
        assert connection.getresponse().status == 201
        connection.close()


class Streams(Served):
    """EventStreams. ``own`` are settings of its section."""

    command = "eventstreams"

    def __init__(self, directory: Path, /, own: dict[str, Any] | None = None, **more: Any) -> None:
        super().__init__(directory, **{"workers": 1, **settings(directory, **(own or {})), **more})
        self.worker_count = (own or {}).get("workers", 1)

    def open(self, path: str, **headers: str) -> OpenedStream:
        """Ask for a stream."""
        return OpenedStream(self.address, path, {name.replace("_", "-"): value for name, value in headers.items()})

    def status(self, path: str, **headers: str) -> int:
        """Return the status of a stream, which is closed again."""
        with self.open(path, **headers) as stream:
            return int(stream.response.status)

    def get(self, path: str, *, is_admin: bool = False) -> tuple[int, bytes]:
        """Return status and body of a document."""
        connection = http.client.HTTPConnection(*(self.admin_address if is_admin else self.address), timeout=PATIENCE_S)
        connection.request("GET", path)
        response = connection.getresponse()
        found = response.status, response.read()
        connection.close()
        return found


class OpenedStream:
    """A stream, read block by block with nothing but http.client."""

    def __init__(self, address: tuple[str, int], path: str, headers: dict[str, str]) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=PATIENCE_S)
        self._connection.request("GET", path, headers=headers)
        self.response = self._connection.getresponse()
        self.last_id = ""

    def __enter__(self) -> OpenedStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.response.close()
        self._connection.close()

    def opened(self) -> OpenedStream:
        """Wait until the stream has told where it begins."""
        while not self.last_id:
            assert self._line() is not None
        return self

    def _line(self) -> str | None:
        line = self.response.readline().decode()
        if line.startswith("id: "):
            self.last_id = line[4:].rstrip("\n")
        return line.rstrip("\n") if line else None

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield events until the stream ends."""
        kind = "message"
        while (line := self._line()) is not None:
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                yield {"kind": kind, **json.loads(value)}
                kind = "message"

    def take(self, count: int) -> list[dict[str, Any]]:
        """Return so many events."""
        source = self.events()
        return [next(source) for _ in range(count)]

    def pages(self, count: int) -> list[str]:
        return [str(event["page"]) for event in self.take(count)]
