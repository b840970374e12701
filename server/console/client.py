"""Ask a console over HTTP: for commands and for helpers of tests.

Place: commands.tail, commands.expect, commands.record, commands.dev → HERE → console.routes of a running service.
Rules: the standard library alone, and one connection for each call, so that any program may use it. A refusal is an
exception that says what the console said.
Not here: what the answers mean.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from server.errors import EXIT_FOUND, PenstockError

API: Final = "/console/api/v1"
CONNECT_S: Final = 10.0
PAUSE_S: Final = 1.0
READ_S: Final = 30.0  # The console sends a message each second, so silence for this long means that it is gone.


class ConsoleError(PenstockError):
    """The console cannot be asked, or refuses. ``status`` 0: it cannot be reached."""

    exit_code = EXIT_FOUND

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class ConsoleClient:
    """One console. ``url`` is that of the admin address: ``http://127.0.0.1:8193``."""

    def __init__(self, url: str, token: str = "") -> None:
        split = urlsplit(url if "//" in url else f"http://{url}")
        self._host, self._port = split.hostname or "127.0.0.1", split.port or 80
        self._url = f"http://{split.netloc}"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: dict[str, str] | None = None,
        within_s: float = CONNECT_S,
    ) -> Any:
        """Return the JSON of an answer. Raises ConsoleError."""
        connection = self._connect(within_s)
        try:
            answer = self._send(connection, method, path, body, query or {}, {})
            text = answer.read()
            return json.loads(text) if text else {}
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ConsoleError(f"{self._url}: the console's answer cannot be read: {error}") from None
        finally:
            connection.close()

    def messages(self, query: dict[str, str], *, is_forever: bool = True) -> Iterator[dict[str, Any]]:
        """Yield the messages with rows of a stream, for ever: a connection that is lost is made again, and goes on
        where the last one ended. Raises ConsoleError when the first cannot be made or the console refuses."""
        last_id, is_first = "", True
        while is_first or is_forever:
            try:
                for event, message_id, content in self._stream(query, last_id):
                    is_first = False
                    last_id = message_id or last_id
                    if event == "rows":
                        yield content
            except ConsoleError as error:
                if is_first or error.status:
                    raise
            except (OSError, http.client.HTTPException):
                if is_first:
                    raise ConsoleError(f"{self._url}: the console closed the connection") from None
            time.sleep(PAUSE_S)

    def _stream(self, query: dict[str, str], last_id: str) -> Iterator[tuple[str, str, Any]]:
        connection = self._connect(READ_S)
        try:
            headers = {"Last-Event-ID": last_id} if last_id else {}
            answer = self._send(connection, "GET", "/stream", None, query, headers)
            fields: dict[str, str] = {}
            while line := answer.readline():
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                elif fields:
                    if "data" in fields:
                        yield fields.get("event", ""), fields.get("id", ""), json.loads(fields["data"])
                    fields = {}
        finally:
            connection.close()

    def _connect(self, within_s: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=within_s)

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Any,
        query: dict[str, str],
        more: dict[str, str],
    ) -> http.client.HTTPResponse:
        target = API + path + (f"?{urlencode(query)}" if query else "")
        headers = self._headers | more | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
        except OSError as error:
            raise ConsoleError(
                f"{self._url}: the console cannot be reached: {error.strerror or error}. Is the service running, with "
                "console.enabled: true?"
            ) from None
        if answer.status >= 400:
            raise ConsoleError(f"{self._url}: {_detail(answer)}", answer.status)
        return answer


def _detail(answer: http.client.HTTPResponse) -> str:
    try:
        return str(json.loads(answer.read())["detail"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status}: this is no console; is console.enabled true?"
