"""Who may write to a stream: every way, through a running service."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.harness import site as behaviours
from tests.harness.served import Served
from tests.harness.site import Site
from tests.process.auth import AUDIENCE, ISSUER, Answer, Issuer, Key, jwks, send, write_keys


def asking(auth: Any, **more: Any) -> dict[str, Any]:
    return {"schema_title": "app/tick", "producers": {"eventgate": {"auth": auth, **more}}}


STREAMS: dict[str, Any] = {
    "keys": asking("api_keys"),
    "of.web": {"schema_title": "app/tick", "producers": {"eventgate": {"api_keys": ["web"]}}},
    "tokens": asking("jwt"),
    "near": asking("networks", networks=["127.0.0.8/29"]),
    "mapped": asking("networks", networks=["::ffff:127.0.0.8/125"]),
    "known": asking("identities"),
    "either": asking(["jwt", "networks", "api_keys", "identities"]),
    "open": asking("none"),
    "pages": asking("none", origins=["https://www.example.org", "https://*.example.net"]),
    "silent": {"schema_title": "app/tick"},
    "penstock.error.validation": {"schema_title": "error"},
}
MERGED = """\
x-near: &near
  auth: networks
  networks: [127.0.0.8/29]
streams:
  merged:
    schema_title: app/tick
    producers:
      eventgate:
        <<: *near
"""
AUTH = {
    "default": ["api_keys"],
    "key_files": ["keys.yaml"],
    "query_param": "key",
    "networks": ["127.0.0.64/26"],
    "identity_header": "X-Client-Identity",
    "identities": ["CN=robot"],
}


class Parts(NamedTuple):
    """The service, and what its clients hold."""

    service: Served
    web: Key
    old: Key
    narrow: Key
    page: Key
    issuer: Issuer
    other: Issuer


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    directory = tmp_path_factory.mktemp("auth")
    web, old = Key("web"), Key("old", expires="2026-01-01T00:00:00Z")
    narrow, page = Key("narrow", streams=["keys", "/^si/"]), Key("page", origins=["https://www.example.org"])
    issuers = [Issuer("ES256", "one"), Issuer("EdDSA", "two"), Issuer("RS256", "three")]
    write_keys(directory, web, old, narrow, page)
    (directory / "jwks.json").write_text(jwks(*issuers))
    (directory / "streams.yaml").write_text(json.dumps({"streams": STREAMS}))
    (directory / "merged.yaml").write_text(MERGED)
    token = {"keys": "jwks.json", "issuer": ISSUER, "audience": [AUDIENCE], "leeway_s": 0}
    with Served(
        directory,
        workers=1,
        streams={"sources": ["streams.yaml", "merged.yaml"]},
        auth={**AUTH, "jwt": token},
        http={"listen": ["127.0.0.1:0"], "trusted_proxies": ["::ffff:127.0.0.100/127"]},
    ) as service:
        yield Parts(service, web, old, narrow, page, *issuers[:2])
        seen = service.log() + json.dumps(service.events())
        assert not [secret for secret in (web.text, old.text, narrow.text, page.text, "psk_", "eyJ") if secret in seen]


def outcome(answer: Answer) -> tuple[int, list[str]]:
    return answer.status, answer.failed


TAKEN: tuple[int, list[str]] = (201, [])
UNAUTHORIZED, FORBIDDEN = (401, ["unauthorized"]), (403, ["forbidden"])


def test_streams_are_closed_unless_they_say_otherwise(parts: Parts) -> None:
    assert outcome(send(parts.service, "open")) == TAKEN
    refused = send(parts.service, "silent")
    assert outcome(refused) == UNAUTHORIZED
    assert refused.headers["www-authenticate"].startswith("Bearer ")
    assert outcome(send(parts.service, "penstock.error.validation")) == (400, ["schema_title_mismatch"])


@pytest.mark.parametrize("name", ["Authorization", "authorization", "X-API-Key"])
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer "])
def test_a_key_in_a_header_is_enough(parts: Parts, name: str, scheme: str) -> None:
    given = {name: scheme + parts.web.text if name != "X-API-Key" else parts.web.text}

    assert outcome(send(parts.service, "keys", "silent", "of.web", headers=given)) == TAKEN


def test_what_is_no_key_opens_nothing(parts: Parts) -> None:
    text = parts.web.text
    wrong = text[:-1] + ("x" if text[-1] != "x" else "y")
    for given in (wrong, "psk_aaaaaaaa_" + text[13:], text[:-1], text + "x", text.upper(), "", "Bearer", "\xff" * 40):
        assert outcome(send(parts.service, "keys", headers={"Authorization": f"Bearer {given}"})) == UNAUTHORIZED, given
        assert outcome(send(parts.service, "keys", headers={"X-API-Key": given})) == UNAUTHORIZED, given
    for scheme in ("Basic", "Digest"):
        assert outcome(send(parts.service, "keys", headers={"Authorization": f"{scheme} {text}"})) == UNAUTHORIZED


def test_an_expired_key_is_none(parts: Parts) -> None:
    assert outcome(send(parts.service, "keys", headers=parts.old.bearer)) == UNAUTHORIZED


def test_keys_are_restricted_to_streams_by_either_side(parts: Parts) -> None:
    assert outcome(send(parts.service, "keys", "silent", headers=parts.narrow.bearer)) == TAKEN
    assert outcome(send(parts.service, "of.web", headers=parts.narrow.bearer)) == FORBIDDEN
    assert outcome(send(parts.service, "tokens", headers=parts.web.bearer)) == UNAUTHORIZED


def test_a_key_can_be_for_pages_of_some_origins_alone(parts: Parts) -> None:
    for origin, expected in (("https://www.example.org", TAKEN), ("https://evil.example", FORBIDDEN), ("", FORBIDDEN)):
        given = {**parts.page.bearer, **({"Origin": origin} if origin else {})}
        assert outcome(send(parts.service, "keys", headers=given)) == expected, origin


def test_a_stream_can_be_for_pages_of_some_origins_alone(parts: Parts) -> None:
    for origin, expected in (
        *(("https://www.example.org", TAKEN), ("https://a.example.net", TAKEN), ("", FORBIDDEN)),
        *(("https://evil.example", FORBIDDEN), ("null", FORBIDDEN)),
    ):
        given = {"Origin": origin} if origin else {}
        assert outcome(send(parts.service, "pages", headers=given)) == expected, origin
        assert outcome(send(parts.service, "pages", headers=given | parts.web.bearer)) == expected, origin
    assert outcome(send(parts.service, "open", "pages", headers={"Origin": "https://evil.example"})) == (
        207,
        ["forbidden"],
    )


def test_a_batch_is_judged_event_by_event(parts: Parts) -> None:
    mixed = send(parts.service, "keys", "of.web", "open", "tokens", "nowhere", headers=parts.narrow.bearer)
    assert outcome(mixed) == (207, ["forbidden", "unauthorized", "unknown_stream"])
    assert outcome(send(parts.service, "of.web", "tokens", headers=parts.narrow.bearer))[0] == 403
    assert outcome(send(parts.service, "of.web", "nowhere", headers=parts.narrow.bearer))[0] == 400
    assert outcome(send(parts.service, "keys", "tokens"))[0] == 401


def test_who_may_not_write_leaves_nothing_behind(parts: Parts) -> None:
    """Hasty events are answered as ever. No error event tells of them: with the event in it, it would be a
    way to write. Beacons alone may give a key in the query."""
    assert send(parts.service, "keys", path="/v1/events?hasty=true").status == 202
    assert send(parts.service, "keys", path="/v1/beacon").status == 202
    assert outcome(send(parts.service, "keys", path=f"/v1/events?key={parts.web.text}")) == UNAUTHORIZED
    assert send(parts.service, "keys", "nowhere", headers=parts.narrow.bearer).status == 207
    before = len(parts.service.events("keys"))
    assert send(parts.service, "keys", path=f"/v1/beacon?key={parts.web.text}").status == 202
    assert send(parts.service, "keys", "nowhere").status == 400
    errors = parts.service.until(
        lambda: found if len(found := parts.service.events("penstock.error.validation")) >= 2 else []
    )

    assert len(parts.service.until(lambda: parts.service.events("keys")[before:])) == 1
    assert {found["value"]["error_type"] for found in errors} == {"unknown_stream", "schema_title_mismatch"}


def test_the_dry_run_says_who_may_write(parts: Parts) -> None:
    (found,) = json.loads(send(parts.service, "keys", path="/v1/validate").body)["events"]
    assert (found["status"], found["context"]["error_type"]) == ("invalid", "unauthorized")
    (found,) = json.loads(send(parts.service, "keys", path="/v1/validate", headers=parts.web.bearer).body)["events"]
    assert found["status"] == "valid"


@pytest.mark.parametrize("source", ["127.0.0.9", "127.0.0.15"])
def test_clients_of_a_network_may_write(parts: Parts, source: str) -> None:
    assert outcome(send(parts.service, "near", source=source)) == TAKEN
    assert outcome(send(parts.service, "either", source=source)) == UNAUTHORIZED
    assert outcome(send(parts.service, "near", source="127.0.0.16")) == FORBIDDEN
    assert outcome(send(parts.service, "either", source="127.0.0.65")) == TAKEN


@pytest.mark.parametrize(
    ("stream", "why"), [("mapped", "an IPv4-mapped network"), ("merged", "what a YAML merge key says")]
)
def test_a_network_is_obeyed_however_it_is_written(parts: Parts, stream: str, why: str) -> None:
    assert outcome(send(parts.service, stream, source="127.0.0.9")) == TAKEN, why
    assert outcome(send(parts.service, stream, source="127.0.0.16")) == FORBIDDEN, why


def test_a_client_cannot_say_where_it_is(parts: Parts) -> None:
    forged = {"X-Forwarded-For": "127.0.0.9"}
    assert outcome(send(parts.service, "near", headers=forged)) == FORBIDDEN
    assert outcome(send(parts.service, "near", headers=forged, source="127.0.0.100")) == TAKEN


def test_an_identity_is_believed_from_a_trusted_proxy_alone(parts: Parts) -> None:
    robot = {"X-Client-Identity": "CN=robot"}
    assert outcome(send(parts.service, "known", "either", headers=robot, source="127.0.0.100")) == TAKEN
    assert outcome(send(parts.service, "known", headers=robot)) == FORBIDDEN
    for other in ("CN=robot2", "CN=ROBOT", "CN=robot, CN=robot", ""):
        given = {"X-Client-Identity": other}
        assert outcome(send(parts.service, "known", headers=given, source="127.0.0.100")) == FORBIDDEN, other


def test_tokens_of_every_algorithm_are_taken(parts: Parts) -> None:
    for issuer in (parts.issuer, parts.other):
        for _ in range(2):  # Verified, then remembered.
            given = {"Authorization": f"Bearer {issuer.token()}"}
            assert outcome(send(parts.service, "tokens", headers=given)) == TAKEN
    wider = {"Authorization": f"Bearer {parts.issuer.token(streams=['either', '/^tok/'])}"}
    assert outcome(send(parts.service, "tokens", "either", headers=wider)) == TAKEN
    assert outcome(send(parts.service, "keys", headers=wider)) == UNAUTHORIZED


def test_a_key_and_a_token_may_come_together(parts: Parts) -> None:
    both = {"Authorization": f"Bearer {parts.issuer.token()}", "X-API-Key": parts.web.text}
    assert outcome(send(parts.service, "tokens", "keys", headers=both)) == TAKEN


@pytest.mark.parametrize("streams", [[], None, ["keys"], "key", {"tokens": 1}, ["/tokens"], ["/(a+)+$/"], [1]])
def test_a_token_that_does_not_name_the_stream_is_for_something_else(parts: Parts, streams: Any) -> None:
    given = {"Authorization": f"Bearer {parts.issuer.token(streams=streams)}"}
    assert outcome(send(parts.service, "tokens", headers=given)) == FORBIDDEN


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "others"},
        {"aud": None},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": 4_000_000_000},
        {"iat": 4_000_000_000},
        {"headers": {"kid": "nobody"}},
        {"headers": {"kid": "two"}},
        {"headers": {"crit": ["x"], "x": 1}},
    ],
)
def test_a_token_that_is_not_right_is_none(parts: Parts, claims: dict[str, Any]) -> None:
    given = {"Authorization": f"Bearer {parts.issuer.token(**claims)}"}
    for _ in range(2):
        assert outcome(send(parts.service, "tokens", headers=given)) == UNAUTHORIZED


def test_keys_are_rotated_by_hup_and_bad_ones_change_nothing(tmp_path: Path) -> None:
    first, second = Key("web"), Key("web")
    write_keys(tmp_path, first)
    (tmp_path / "streams.yaml").write_text(json.dumps({"streams": {"keys": STREAMS["keys"]}}))
    with Served(
        tmp_path,
        workers=1,
        streams={"sources": ["streams.yaml"]},
        auth={"key_files": ["keys.yaml"]},
        intake={"error_stream": ""},
    ) as service:
        steps: tuple[tuple[list[Key], list[int]], ...] = (
            ([first], [201, 401]), ([first, second], [201, 201]), ([second], [401, 201]),
        )  # fmt: skip
        for number, (keys, expected) in enumerate(steps):
            if number:
                write_keys(tmp_path, *keys)
                service.reload()
            assert [send(service, "keys", headers=key.bearer).status for key in (first, second)] == expected
        second.entry["hash"] = second.text
        write_keys(tmp_path, second)
        service.signal(signal.SIGHUP)
        service.says(r".*keys\.yaml:\d+: keys\[0\]\.hash: is a key itself.*")

        assert send(service, "keys", headers=second.bearer).status == 201
        assert second.text not in service.log()


def test_public_keys_at_a_url_are_followed_without_a_restart(tmp_path: Path) -> None:
    old, new = Issuer("EdDSA", "old"), Issuer("EdDSA", "new")
    (tmp_path / "streams.yaml").write_text(json.dumps({"streams": {"tokens": STREAMS["tokens"]}}))

    def status(issuer: Issuer) -> int:
        return send(service, "tokens", headers={"Authorization": f"Bearer {issuer.token()}"}).status

    def beside(issuer: Issuer, odd: object) -> str:
        """A good key with one that RFC 7517 section 5 tells to ignore."""
        return json.dumps({"keys": [odd, issuer.jwk]})

    with Site() as site:
        site.says("/jwks", behaviours.body(beside(old, {"kty": "RSA", "kid": "x", "e": "AQAB"})))
        token = {"keys": site.url("/jwks"), "issuer": ISSUER, "audience": [AUDIENCE], "refresh_s": 0.1}
        settings = {"streams": {"sources": ["streams.yaml"]}, "auth": {"jwt": token}, "intake": {"error_stream": ""}}
        quick = {"attempts": 1, "total_s": 20.0, "connect_s": 10.0}
        with Served(tmp_path, workers=1, fetch=quick, **settings) as service:
            workers = service.workers()
            assert (status(old), status(new)) == (201, 401)
            assert "1 of 2 keys are ignored: 1 that cannot be read" in service.log()
            site.says("/jwks", behaviours.body(beside(new, {"kty": "new"})))
            service.says("public keys of tokens are now")

            assert (status(old), status(new)) == (401, 201)
            service.says("public keys: .*1 of 2 keys are ignored: 1 for something else; the other keys are used")
            site.says("/jwks", behaviours.body('{"keys": [{"kty": "new"}]}'))
            service.says("public keys: .*has no key for .*the last good ones stay in force")
            assert status(new) == 201
            site.says("/jwks", behaviours.body(jwks(new)))
            service.says("public keys: .* answers again")
            site.says("/jwks", behaviours.html())
            service.says("public keys: .*the last good ones stay in force")
            assert status(new) == 201
            assert service.workers() == workers
        site.says("/jwks", behaviours.status(500))
        (tmp_path / "log").unlink()
        with Served(tmp_path, workers=1, fetch=quick, **settings) as service:
            assert "starting with the keys of its last good answer" in service.log()
            assert status(new) == 201
