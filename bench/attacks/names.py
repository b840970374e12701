"""Attacks by the number of names: a million different values of each kind that a server might cache.

Place: table → HERE → wire.
Rule: a name that comes once must not cost memory for ever, nor push out the names that are in use.
Not here: what the names say (words).
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator

from bench.attacks.forms import FORM, ISSUER, KEY, LOCKED, PAGES, STREAM
from bench.attacks.wire import Outcome, Target, post, pour, request

MILLION = 1_000_000
BATCH = 1_000


def _batches(target: Target, event: Callable[[int], str], *lines: bytes) -> Iterator[bytes]:
    """Requests with a million events in all."""
    for first in range(0, target.count(MILLION), BATCH):
        events = ",".join(event(number) for number in range(first, first + BATCH))
        yield post(f"[{events}]".encode(), *lines)


async def schema_uris(target: Target) -> Outcome:
    """Name a million schemas that do not exist."""
    form = '{"$schema":"/attack/none%d/1.0.0","meta":{"stream":"attack.form"}}'
    return await pour(target, _batches(target, lambda number: form % number), depth=1)


async def streams(target: Target) -> Outcome:
    """Name a million streams that are not declared."""
    form = f'{{"$schema":"{FORM}","meta":{{"stream":"attack.none%d"}}}}'
    return await pour(target, _batches(target, lambda number: form % number), depth=1)


async def invented_streams(target: Target) -> Outcome:
    """Names that a regex matches: every one would be a topic of its own."""
    form = '{"$schema":"/app/tick/1.0.0","meta":{"stream":"app.tick.t%d"},"count":1}'
    raws = _batches(target._replace(scale=target.scale / 10), lambda number: form % number)
    return await pour(target, raws, depth=1)


async def member_names(target: Target) -> Outcome:
    """A million member names, in valid events."""
    form = f'{{"$schema":"{FORM}","meta":{{"stream":"{STREAM}"}},"map":{{"m%d":1}},"o%d":1}}'
    return await pour(target, _batches(target, lambda number: form % (number, number)), depth=1)


def _each(target: Target, whole: int, make: Callable[[int], bytes]) -> Iterator[bytes]:
    return map(make, range(target.count(whole)))


EVENT = json.dumps({"$schema": FORM, "meta": {"stream": STREAM}}).encode()
PAGES_EVENT = json.dumps({"$schema": FORM, "meta": {"stream": PAGES}}).encode()
LOCKED_EVENT = json.dumps({"$schema": FORM, "meta": {"stream": LOCKED}}).encode()
TENTH = MILLION // 10  # One request a name: a million take minutes. ``--scale 10`` does.


async def header_names(target: Target) -> Outcome:
    """A million names of headers, 50 a request; and every head twice, so that it would be remembered."""

    def make(number: int) -> bytes:
        names = (b"X-%d-%d: a" % (number // 2, index) for index in range(50))
        return post(EVENT, *names)

    return await pour(target, _each(target, 2 * MILLION // 50, make))


async def header_values(target: Target) -> Outcome:
    """Send new values of everything that is looked at: types, identities, agents, queries."""

    def make(number: int) -> bytes:
        lines = (b"X-Request-Id: r%d" % number, b"User-Agent: agent/%d" % number, b"Cookie: c=%d" % number)
        kind = b"Content-Type: application/json; charset=utf-8; n=%d" % number
        return request("POST", f"/v1/events?n={number}", EVENT, kind, *lines)

    return await pour(target, _each(target, TENTH, make))


async def addresses(target: Target) -> Outcome:
    """Client addresses, as a trusted proxy would hand them on."""

    def make(number: int) -> bytes:
        low, high = number & 0xFFFF, number >> 16
        of_6 = b"2001:db8:%x:%x::1" % (high, low)
        of_4 = b"10.%d.%d.%d" % (high & 255, low >> 8, low & 255)
        return post(EVENT, b"X-Forwarded-For: " + (of_6, of_4)[number & 1])

    return await pour(target, _each(target, TENTH, make))


async def api_keys(target: Target) -> Outcome:
    """Wrong keys for a stream that asks for one: other texts, other keys, and one that is nearly right."""
    near = KEY[:-6].encode()
    forms = (
        b"Authorization: Bearer key-%d",
        b"X-API-Key: psk_%08d_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        b"X-API-Key: %b%06d",
    )

    def make(number: int) -> bytes:
        form = forms[number % len(forms)]
        return post(LOCKED_EVENT, form % ((near, number) if b"%b" in form else number))

    return await pour(target, _each(target, TENTH, make))


async def tokens(target: Target) -> Outcome:
    """Tokens that are right in all but their signature, from other addresses; and from one, which may try a few."""
    claims = {"iss": ISSUER, "aud": "attack.example", "sub": "a", "exp": 4_000_000_000, "streams": [LOCKED]}
    parts = [
        urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=") for each in ({"alg": "ES256", "kid": "arena"}, claims)
    ]

    def make(number: int) -> bytes:
        signature = urlsafe_b64encode((number + 1).to_bytes(32) * 2).rstrip(b"=")
        address = b"X-Forwarded-For: 192.0.2.1" if number & 1 else b"X-Forwarded-For: 10.%d.%d.%d" % _octets(number)
        return post(LOCKED_EVENT, b"Authorization: Bearer " + b".".join((*parts, signature)), address)

    return await pour(target, _each(target, TENTH, make))


def _octets(number: int) -> tuple[int, int, int]:
    return number >> 16 & 255, number >> 8 & 255, number & 255


async def origins(target: Target) -> Outcome:
    """Pages of other sites, and of ever other hosts of ours: what is answered names no site that may not read it."""
    forms = (
        b"https://a%d.attack.example",
        b"https://attack.example.evil%d.example",
        b"https://evil%d.example/.attack.example",
        b"https://a%d." + b"a." * 300 + b"attack.example",
        b"https://\xe9%d.attack.example",
        b"null, https://a%d.attack.example",
    )

    def make(number: int) -> bytes:
        origin = b"Origin: " + forms[number % len(forms)] % number
        if number % 7:
            return post(PAGES_EVENT, origin)
        return request("OPTIONS", "/v1/events", b"", origin, b"Access-Control-Request-Method: N%d" % number)

    return await pour(target, _each(target, TENTH, make))


async def one_address(target: Target) -> Outcome:
    """One client that asks without end, as a trusted proxy names it."""
    raw = post(EVENT, b"X-Forwarded-For: 203.0.113.7")
    return await pour(target, _each(target, TENTH, lambda _: raw))


async def one_key(target: Target) -> Outcome:
    """One key that is used without end, from other addresses."""

    def make(number: int) -> bytes:
        lines = b"X-API-Key: " + KEY.encode(), b"X-Forwarded-For: 198.51.%d.%d" % (number >> 8 & 255, number & 255)
        return post(LOCKED_EVENT, *lines)

    return await pour(target, _each(target, TENTH, make))


async def questions(target: Target) -> Outcome:
    """Reads that are each another question."""
    paths = (
        "/v1/stream-configs?constraints=n=%d",
        "/v1/stream-configs/app.tick.%d",
        "/v1/streamconfigs?streams=a%d",
        "/v1/schemas/attack/none%d/1.0.0",
        "/v1/receipts/none%d",
        "/none%d",
    )
    raws = _each(target, 12_000, lambda number: request("GET", paths[number % len(paths)] % number))
    return await pour(target, raws, depth=4)
