"""How the interface of the console reads requests and writes answers.

Place: console.routes → HERE.
Rules: every answer is JSON and is not cached. Every refusal says what to do.
Not here: which requests there are (console.routes).
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from server.console import files
from server.console.facts import FACTS
from server.filter.language import Column, Filter, column, compile_filter

MAX_BODY_BYTES: Final = 1_048_576
MAX_COLUMNS: Final = 8
ID_RULE: Final = "An id has 1 to 64 letters, digits and . _ : -"
LONGEST_S: Final = 3_600.0  # A connection of server-sent events; viewers come back.

Wanted = TypeVar("Wanted")


class BadRequestError(Exception):
    """A request that the interface cannot take: its status, what is wrong and what to do."""

    def __init__(self, status: int, detail: str, more: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.more = status, detail, more or {}


def filter_of(request: web.Request) -> Filter:
    """Return the filter in ``where``. Raises FilterError."""
    return compile_filter(request.query.get("where", ""), FACTS)


def columns_of(request: web.Request) -> list[Column]:
    """Return the paths in ``columns``. Raises FilterError and BadRequestError."""
    texts = [text.strip() for text in request.query.get("columns", "").split(",") if text.strip()]
    if len(texts) > MAX_COLUMNS:
        raise BadRequestError(400, f"A row has at most {MAX_COLUMNS} columns of its own.")
    return [column(text, FACTS) for text in texts]


def number_of(request: web.Request, name: str, otherwise: int, most: int) -> int:
    """Return a number of the query, ``most`` at most. Raises BadRequestError."""
    text = request.query.get(name, str(otherwise))
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise BadRequestError(400, f"{name} is a whole number.")
    return min(int(text), most)


def session_of(request: web.Request) -> str:
    """Return the test session in ``session``; "" for none. Raises BadRequestError."""
    text = request.query.get("session", "")
    if not is_test_id(text):
        raise BadRequestError(400, f"session: {ID_RULE}")
    return text


def is_text(query: str) -> bool:
    """Whether the bytes of a query, which are given with their escapes, are UTF-8."""
    try:
        unquote_to_bytes(query).decode()
    except UnicodeDecodeError:
        return False
    return True


async def body_of(request: web.Request, kind: type[Wanted]) -> Wanted:
    """Return the body of a request. Raises BadRequestError."""
    parts, size = [], 0
    try:
        while part := await request.content.readany():
            parts.append(part)
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise BadRequestError(413, f"The body has more than {MAX_BODY_BYTES} bytes.")
    except (HttpProcessingError, web.RequestPayloadError):
        raise BadRequestError(400, "The body is not what its headers say, or has not come to its end.") from None
    try:
        return msgspec.json.decode(b"".join(parts) or b"{}", type=kind)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(400, f"The body is not as documented: {error}.") from None


def json_answer(value: Any, status: int = 200) -> web.Response:
    """Return an answer."""
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json", headers=files.HEADERS)


def problem(status: int, said: str, more: dict[str, Any] | None = None) -> web.Response:
    """Return a refusal: problem JSON (RFC 9457)."""
    body = msgspec.json.encode({"type": "about:blank", "status": status, "detail": said, **(more or {})})
    return web.Response(body=body, status=status, content_type="application/problem+json", headers=files.HEADERS)


def is_test_id(text: str) -> bool:
    """Whether a text may name a test session."""
    return len(text) <= 64 and text.isascii() and all(letter.isalnum() or letter in "._:-" for letter in text)


def reachable(host: str) -> str:
    """Return the host under which an address to listen on is reached from this machine."""
    if host in ("", "0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def extend(request: web.Request) -> None:
    """Let the connection live longer than other requests may (admin.door)."""
    protocol: Any = request.protocol
    if hasattr(protocol, "deadline"):
        protocol.deadline = asyncio.get_running_loop().time() + LONGEST_S


def cut_off(request: web.Request) -> None:
    """Close the connection of a request at once."""
    if request.transport is not None:
        request.transport.abort()
