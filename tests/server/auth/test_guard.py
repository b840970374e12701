"""A guard lets in whom its stream asks for, remembers what it verified, and nothing that strangers invent."""

from __future__ import annotations

from typing import Any

import pytest

from server.auth import access as accesses
from server.auth import api_keys
from server.auth.access import Access
from server.auth.credentials import Credentials
from server.auth.grant import OURS, Grant
from server.auth.guard import Guard
from server.config.auth_settings import Auth
from server.intake.arrival import Arrival
from tests.server.auth.guarded import NOW_MS, Request, access, guard, key, refused


def test_a_stream_that_asks_for_nothing_has_no_guard() -> None:
    from server.catalog.stream import make

    open_one = make("s", "s", {"producers": {"eventgate": {"auth": "none"}}}, "")
    assert access(default=["api_keys"]).guard(open_one) is None
    assert access().guard(make("s", "s", {}, "")) is None
    assert access(default=["api_keys"]).guard(make("s", "s", {}, "")) is not None


def test_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr(api_keys, "compare_digest", compare)
    text, kept = key()
    guarding = guard(access(kept), auth="api_keys")
    assert refused(guarding, x_api_key=text[:-1] + ("a" if text[-1] != "a" else "b")) == "unauthorized"
    assert refused(guarding, x_api_key=text) is None

    assert compared == [(32, 32), (32, 32)], "whole digests, and by nothing else"
    assert refused(guarding, x_api_key=text) is None
    assert len(compared) == 2, "verified once"


def test_two_keys_of_one_handle_are_both_found() -> None:
    text, kept = key()
    other = text[:13] + text[13:][::-1]
    twin = kept.__class__("twin", api_keys.hashed(other), None, None, None)
    guarding = guard(access(kept, twin), auth="api_keys")

    assert refused(guarding, x_api_key=text) is None
    assert refused(guarding, x_api_key=other) is None


def test_a_key_ends_at_its_moment_even_if_it_is_remembered() -> None:
    text, kept = key(expires_ms=NOW_MS)
    guarding = guard(access(kept), auth="api_keys")

    assert refused(guarding, now_ms=NOW_MS - 1, x_api_key=text) is None
    assert refused(guarding, now_ms=NOW_MS, x_api_key=text) == "unauthorized"


def test_a_key_stands_behind_one_blank_or_more() -> None:
    """RFC 9110 section 11.4; schemes have no case (section 11.1)."""
    text, kept = key()
    guarding = guard(access(kept), auth="api_keys")

    assert [refused(guarding, authorization=f"{scheme}{text}") for scheme in ("bearer ", "BEARER   ")] == [None, None]


def test_invented_keys_take_no_memory_and_push_out_none_in_use() -> None:
    text, kept = key()
    known = access(kept)
    guarding = guard(known, auth="api_keys")
    assert refused(guarding, authorization=f"Bearer {text}") is None
    for number in range(2_000):
        assert refused(guarding, authorization=f"Bearer psk_{number:08d}_{number:032d}") == "unauthorized"

    assert list(known.verified) == [f"Bearer {text}".encode()]


def test_refused_tokens_are_remembered_apart_from_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    text, kept = key()
    known = access(kept)
    asked: list[bytes] = []

    class Tokens:
        def find(self, token: bytes) -> None:
            asked.append(token)

    known._tokens = Tokens()  # type: ignore[assignment]
    guarding = guard(known, auth=["jwt", "api_keys"])
    assert refused(guarding, x_api_key=text) is None
    for _ in range(2):
        assert refused(guarding, authorization="Bearer a.b.c") == "unauthorized"
    assert asked == [b"a.b.c"]
    for number in range(3 * accesses.REFUSED_MAX):
        refused(guarding, authorization=f"Bearer {number}.b.c")

    assert len(known.verified) <= accesses.REFUSED_MAX + 1
    assert text.encode() in known.verified
    asked.clear()
    assert refused(guarding, authorization="Bearer " + "a." * 5_000 + "c") == "unauthorized"
    assert asked == [], "too long to be looked at"


def test_wrong_tokens_of_one_client_are_verified_at_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accesses, "INVENTED_PER_S", 1e-6)
    monkeypatch.setattr(accesses, "INVENTED_BURST", 3)
    known = Access(Auth(), Credentials(), lambda _: True, lambda request: request.path.decode())
    asked: list[bytes] = []

    class Tokens:
        def find(self, token: bytes) -> Grant | None:
            asked.append(token)
            return Grant("jwt", "good") if token.startswith(b"good") else None

    known._tokens = Tokens()  # type: ignore[assignment]
    guarding = guard(known, auth="jwt")

    def ask(token: str, client: bytes = b"a") -> str | None:
        headers = {b"authorization": b"Bearer " + token.encode()}
        return guarding.refuses(Arrival(NOW_MS, b"", headers, None, Request(client)))

    assert [ask(f"good{number}.b.c") for number in range(9)] == [None] * 9, "good ones cost nothing"
    assert [ask(f"{number}.b.c") for number in range(6)] == ["unauthorized"] * 6
    assert [token for token in asked if not token.startswith(b"good")] == [b"0.b.c", b"1.b.c", b"2.b.c"]
    assert ask("good10.b.c") == "unauthorized"
    assert ask("good1.b.c") is None, "what is remembered is good from there too"
    assert ask("good10.b.c", b"b") is None, "and what was not looked at is not remembered as bad"


def test_the_holder_of_a_key_is_known_by_its_name() -> None:
    (one, kept), (two, twin), (other, third) = key("web"), key("web"), key("app")
    known = access(kept, twin, third)

    def holder(**headers: str) -> str:
        request = Request()
        request.headers = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        return known.key_holder(request)

    assert holder(x_api_key=one) == holder(authorization=f"Bearer {two}") == "api_keys web"
    assert holder(x_api_key=other) == "api_keys app"
    assert holder() == holder(x_api_key="psk_" + "a" * 41) == holder(authorization="Basic x") == ""


def test_what_a_request_presents_is_looked_up_once() -> None:
    text, kept = key(streams=("a",))
    known = access(kept)
    arrival = Arrival(NOW_MS, b"", {b"x-api-key": text.encode()}, None, Request())
    assert guard(known, "a", auth="api_keys").refuses(arrival) is None
    known.verified.clear()
    known._keys = api_keys.ApiKeys(())

    assert guard(known, "b", auth="api_keys").refuses(arrival) == "forbidden"
    assert guard(known, "a", auth="api_keys").refuses(arrival) is None


def test_our_own_events_pass_every_guard() -> None:
    arrival = Arrival(NOW_MS, b"", {})
    arrival.grants = OURS

    assert guard(access(), auth="api_keys", api_keys=["web"]).refuses(arrival) is None
    assert guard(access(), auth="networks", networks=["10.0.0.0/8"]).refuses(arrival) is None


@pytest.mark.parametrize("auth", ["none", "api_keys", ["networks", "api_keys"]])
def test_a_stream_can_be_for_pages_of_some_origins_alone(auth: Any) -> None:
    text, kept = key()
    guarding = guard(
        access(kept), auth=auth, networks=["10.0.0.0/8"], origins=["https://a.example", "https://*.b.example"]
    )
    for origin in ("https://a.example", "https://x.b.example"):
        assert refused(guarding, x_api_key=text, origin=origin) is None
        assert refused(guarding, origin=origin) == (None if auth == "none" else "unauthorized"), "all that is asked for"
    for other in ("https://b.example", "http://a.example", "null", ""):
        assert refused(guarding, x_api_key=text, origin=other) == refused(guarding, origin=other) == "forbidden"
    assert refused(guarding, x_api_key=text) == refused(guarding) == "forbidden", "an <img> names none"

    ours = Arrival(NOW_MS, b"", {})
    ours.grants = OURS
    assert guarding.refuses(ours) is None


def test_an_origin_with_its_default_port_is_the_one_that_browsers_send() -> None:
    text, kept = key(origins=("https://a.example:443",))
    guarding = guard(access(kept), auth="api_keys", origins=["https://a.example:443"])

    assert refused(guarding, x_api_key=text, origin="https://a.example") is None


def test_a_key_and_a_stream_may_both_name_origins() -> None:
    text, kept = key(origins=("https://a.example", "https://*.b.example"))
    guarding = guard(access(kept), auth="api_keys", origins=["https://x.b.example", "https://c.example"])

    assert refused(guarding, x_api_key=text, origin="https://x.b.example") is None
    for other in ("https://a.example", "https://y.b.example", "https://c.example"):
        assert refused(guarding, x_api_key=text, origin=other) == "forbidden", other


def test_streams_that_name_no_origins_have_the_plain_guard() -> None:
    assert type(guard(access(), auth="api_keys")) is Guard


def test_a_key_in_a_query_counts_for_beacons_alone() -> None:
    text, kept = key()
    guarding = guard(access(kept, query_param="key"), auth="api_keys")
    for path, expected in ((b"/v1/beacon", None), (b"/v1/pixel.gif", None), (b"/v1/events", "unauthorized")):
        arrival = Arrival(NOW_MS, b"", {}, None, Request(path, key=text))
        assert guarding.refuses(arrival) == expected
    arrival = Arrival(NOW_MS, b"", {}, None, Request(b"/v1/beacon", key=text))
    assert guard(access(kept), auth="api_keys").refuses(arrival) == "unauthorized"


def test_names_that_a_regex_matched_are_remembered_in_bounded_number() -> None:
    text, kept = key(streams=("/^a\\./", "b"))
    known = access(kept)
    for number in range(1_000):
        assert refused(guard(known, f"a.{number}", auth="api_keys"), x_api_key=text) is None
    assert refused(guard(known, "b", auth="api_keys"), x_api_key=text) is None
    assert refused(guard(known, "c", auth="api_keys"), x_api_key=text) == "forbidden"
    ((grant,),) = known.verified.values()

    assert len(grant.streams._cache) <= 256  # type: ignore[union-attr]
