"""Look up host names within a deadline: the system's resolver cannot be interrupted, so a thread runs it."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

CACHED_S = 30.0
Address = tuple[int, Any]  # Family, and what ``connect`` takes.

_cache: dict[tuple[str, int], tuple[float, list[Address]]] = {}


def resolve(host: str, port: int, deadline_s: float) -> list[Address]:
    """Return the addresses of a host, by ``time.monotonic`` before the deadline. Raises OSError."""
    try:
        return _addresses(host, port, socket.AI_NUMERICHOST)
    except UnicodeError as error:
        raise OSError(f"{host} is no name of a host: {error}") from error
    except socket.gaierror:
        pass_on = host, port  # It is a name.
    cached = _cache.get(pass_on)
    if cached is not None and cached[0] > time.monotonic():
        return cached[1]
    found = _within(host, port, deadline_s)
    if len(_cache) > 100:
        _cache.clear()
    _cache[pass_on] = (time.monotonic() + CACHED_S, found)
    return found


def _addresses(host: str, port: int, flags: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]


def _within(host: str, port: int, deadline_s: float) -> list[Address]:
    results: list[list[Address] | OSError] = []
    done = threading.Event()

    def look_up() -> None:
        try:
            results.append(_addresses(host, port, 0))
        except (OSError, UnicodeError) as error:
            results.append(error if isinstance(error, OSError) else OSError(str(error)))
        done.set()

    try:
        threading.Thread(target=look_up, name="penstock-client-resolver", daemon=True).start()
    except RuntimeError:  # No threads any more: the interpreter is about to end.
        look_up()
    done.wait(max(deadline_s - time.monotonic(), 0.0))
    if not results:
        raise TimeoutError(f"{host} could not be looked up in time")
    if isinstance(results[0], OSError):
        raise results[0]
    return results[0]
