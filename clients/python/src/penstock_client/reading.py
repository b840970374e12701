"""Read streams of events from EventStreams: ``for event in EventStream(url): …``.

It returns by itself after the end of a connection, at the position of the last event that was handed out, waits with
jitter between attempts, notices a server that has fallen silent, and drops repetitions by ``meta.id``. It uses the
calling thread alone.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

SILENT_S = 45.0  # Three times the longest silence of a server that lives.
LONGEST_WAIT_S = 60.0
FIRST_WAIT_S = 1.0
SEEN = 10_000


class StreamRefused(Exception):  # noqa: N818 - the server's word
    """The server refuses, and would refuse again: ``status`` and its ``problem`` say why."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('title', '')}: {problem.get('detail', '')}")
        self.status = status
        self.problem = problem


class EventStream:
    """Iterates over the events of a stream, without end unless the request has one (``limit``, ``until``, ``poll``).

    ``url`` is that of the stream, with its query. ``position`` is where to begin, as the ``position`` of an earlier
    object; ``position_file`` stores it after each event that was handled, so that a new process goes on there: an event
    is handled once the next one is asked for. ``on_gap`` is called with what the server tells of lost events; without
    it a lost position raises StreamRefused with status 410. ``silent_s`` is how long the server may send nothing.
    """

    def __init__(
        self,
        url: str,
        *,
        position: str = "",
        position_file: Path | str | None = None,
        on_gap: Callable[[dict[str, Any]], object] | None = None,
        headers: Mapping[str, str] | None = None,
        silent_s: float = SILENT_S,
    ) -> None:
        self._parts = urlsplit(url)
        if self._parts.scheme not in ("http", "https") or not self._parts.netloc:
            raise ValueError(f"{url!r} is not a URL of a stream")
        self._file = Path(position_file) if position_file is not None else None
        stored = self._file.read_text() if self._file is not None and self._file.exists() else ""
        self.position = position or stored.strip()
        self._on_gap = on_gap
        self._headers = dict(headers or {})
        self._silent_s = silent_s
        self._wait_s = FIRST_WAIT_S
        self._retry_s = 0.0
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._connection: http.client.HTTPConnection | None = None
        self._is_closed = False

    def close(self) -> None:
        """End the iteration, from within it."""
        self._is_closed = True
        self._disconnect()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while not self._is_closed:
            try:
                response = self._connect()
                if response is None:
                    return
                yield from self._read(response)
                if self._is_over(response):
                    return
            except (OSError, http.client.HTTPException):
                self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
            finally:
                self._disconnect()
            if not self._is_closed:
                time.sleep(max(self._retry_s, self._wait_s * random.uniform(0.5, 1.0)))

    def _is_over(self, response: http.client.HTTPResponse) -> bool:
        """Whether the stream has reached the end that was asked for."""
        return getattr(response, "reason_of_end", "") == "done"

    def _connect(self) -> http.client.HTTPResponse | None:
        """Ask for the stream. Returns None when nothing more will come."""
        make = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = self._connection = make(self._parts.netloc, timeout=self._silent_s)
        query = self._parts.query
        if self._on_gap is not None and "on_gap=" not in query:
            query += "&on_gap=earliest"
        headers = {"Accept": "text/event-stream", **self._headers}
        if self.position:
            headers["Last-Event-ID"] = self.position
        target = quote(self._parts.path or "/", safe="/%,*@:~") + (f"?{query.lstrip('&')}" if query else "")
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        if response.status == 204:
            return None
        if response.status in (429, 502, 503, 504):
            self._retry_s = _seconds(response.headers.get("Retry-After"))
            raise http.client.HTTPException(f"status {response.status}")
        if response.status != 200:
            raise StreamRefused(response.status, _problem(response.read()))
        self._wait_s = FIRST_WAIT_S
        return response

    def _read(self, response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
        """Yield the events of one connection."""
        kind, parts, position = "message", list[str](), self.position
        while not self._is_closed and (line := response.readline()):
            name, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(":")
            value = value.removeprefix(" ")
            if name == "event":
                kind = value
            elif name == "data":
                parts.append(value)
            elif name == "id":
                position = value
            elif name == "retry" and value.isdigit():
                self._retry_s = int(value) / 1000
            elif not name and value.startswith("end "):
                response.reason_of_end = value.removeprefix("end ")  # type: ignore[attr-defined]
            elif not name and not value:  # A blank line ends a block.
                yield from self._dispatch(kind, "\n".join(parts))
                self._store(position)
                kind, parts = "message", []

    def _dispatch(self, kind: str, text: str) -> Iterator[dict[str, Any]]:
        if not text:
            return
        found = json.loads(text)
        if kind == "gap" and self._on_gap is not None:
            self._on_gap(found)
        elif kind == "message" and not self._was_seen(found):
            yield found

    def _was_seen(self, event: dict[str, Any]) -> bool:
        """Whether the event is a repetition, as they may come from another cluster."""
        identity = (event.get("meta") or {}).get("id")
        if not isinstance(identity, str):
            return False
        if identity in self._seen:
            return True
        self._seen[identity] = None
        if len(self._seen) > SEEN:
            self._seen.popitem(last=False)
        return False

    def _store(self, position: str) -> None:
        if position == self.position:
            return
        self.position = position
        if self._file is not None:
            new = self._file.with_name(self._file.name + ".new")
            new.write_text(position)
            os.replace(new, self._file)  # A reader of the file meets the old position or the new one.

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _problem(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isdigit() else 0.0
