"""Whatever is wrong with keys, and with what streams ask for, is said before anybody relies on it; no key is shown."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from server.auth import api_keys
from server.auth.grant import Grant
from server.boot.generation import Generation, read
from server.commands import check, key
from server.errors import SettingsError, UsageError
from tests.harness.served import EXAMPLES
from tests.process.auth import AUDIENCE, ISSUER, Issuer, Key, jwks


def write(directory: Path, keys: Any = None, eventgate: Any = None, **auth: Any) -> Path:
    """Settings with one stream; the path of them."""
    if keys is not None:
        (directory / "keys.yaml").write_text(keys if isinstance(keys, str) else json.dumps(keys, indent=1))
        auth = {"key_files": ["keys.yaml"], **auth}
    streams = {"app.one": {"schema_title": "app/tick", "producers": {"eventgate": eventgate or {}}}}
    (directory / "streams.yaml").write_text(json.dumps({"streams": streams}))
    whole = {
        "schemas": {"base_uris": [str(EXAMPLES / "schemas")]},
        "streams": {"sources": ["streams.yaml"]},
        "sink": {"kind": "memory"},
        "auth": auth,
    }
    (directory / "penstock.yaml").write_text(json.dumps(whole))
    return directory / "penstock.yaml"


def said(path: Path) -> tuple[int, str]:
    out = io.StringIO()
    return check.run(path, [], environ={}, out=out), out.getvalue()


@pytest.fixture
def web() -> Key:
    return Key("web")


def test_keys_of_files_and_settings_are_taken_together(tmp_path: Path, web: Key) -> None:
    other = Key("other", streams=["a", "/^b/"], origins=["https://a.example:8443"], expires="2999-01-01T00:00:00+01:00")
    generation = read(write_both(tmp_path, web, other), [])
    found = {kept.name: kept for kept in generation.credentials.api_keys}

    assert list(found) == ["other", "web"]
    assert found["web"].grant().streams is None
    grant = found["other"].grant()
    assert grant.streams is not None and "bx" in grant.streams and "c" not in grant.streams
    assert grant.origins == frozenset({b"https://a.example:8443"})
    assert grant.until_ms == 32472140400000


def write_both(directory: Path, in_file: Key, in_settings: Key) -> Path:
    path = write(directory, {"keys": [in_file.entry]})
    whole = json.loads(path.read_text())
    whole["auth"]["keys"] = [in_settings.entry]
    path.write_text(json.dumps(whole))
    return path


def test_keys_can_come_from_the_environment(tmp_path: Path, web: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_AUTH__KEYS", json.dumps([web.entry]))
    generation = read(write(tmp_path, eventgate={"api_keys": ["web"]}), [])

    assert [kept.name for kept in generation.credentials.api_keys] == ["web"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hash": None}, "keys[0].hash: is not a hash"),
        ({"hash": "b2:x"}, "keys[0].hash: is not a hash"),
        ({"name": None}, "keys[0].name: must be a name"),
        ({"name": "a b"}, "keys[0].name: must be a name"),
        ({"stream": ["a"]}, "'stream' is unknown"),
        ({"streams": "a"}, "keys[0].streams: must be a list"),
        ({"streams": []}, "keys[0].streams: must be a list"),
        ({"streams": ["/(a+)+b/"]}, "keys[0].streams: must be a list"),
        ({"origins": ["https://a.example/"]}, "keys[0].origins: must be a list"),
        ({"origins": ["a.example"]}, "keys[0].origins: must be a list"),
        ({"origins": ["https://["]}, "keys[0].origins: must be a list"),
        ({"origins": None}, "keys[0].origins: must be a list"),
        ({"streams": None}, "keys[0].streams: must be a list"),
        ({"expires": None}, "keys[0].expires: is not a time"),
        ({"origins": ["https://a@b.example"]}, "keys[0].origins: must be a list"),
        ({"expires": "2027-01-01"}, "keys[0].expires: is not a time"),
        ({"expires": 2027}, "keys[0].expires: is not a time"),
    ],
)
def test_what_is_wrong_with_a_key_is_said_with_its_line(
    tmp_path: Path, web: Key, change: dict[str, Any], reason: str
) -> None:
    code, text = said(write(tmp_path, {"keys": [{**web.entry, **change}]}))

    assert code == 3
    assert "keys.yaml:" in text and reason in text


def test_a_key_in_place_of_its_hash_is_not_shown(tmp_path: Path, web: Key) -> None:
    for wrong in ({**web.entry, "hash": web.text}, {"name": web.text}, web.text, {"name": "x", web.text: 1}):
        code, text = said(write(tmp_path, {"keys": [wrong]}))

        assert code == 3 and web.text not in text
    assert web.text not in said(write(tmp_path, eventgate={"api_keys": [web.text]}))[1]
    assert web.entry["hash"] not in said(write(tmp_path, eventgate={"api_keys": web.entry["hash"]}))[1]


@pytest.mark.parametrize("value", ["{}", "[{}]", "{{x: {}}}", "[{{name: x, hash: {}}}]", "[{{hash: {}"])
@pytest.mark.parametrize("name", ["AUTH__KEYS", "AUTH"])
def test_a_key_in_the_environment_is_not_shown(tmp_path: Path, web: Key, name: str, value: str) -> None:
    path = write(tmp_path)
    out = io.StringIO()
    code = check.run(path, [], environ={f"PENSTOCK_{name}": value.format(web.text)}, out=out)

    assert code == 3 and web.text not in out.getvalue()


def test_one_hash_is_one_key(tmp_path: Path, web: Key) -> None:
    code, text = said(write(tmp_path, {"keys": [web.entry, {**web.entry, "name": "twin"}]}))

    assert code == 3 and "keys[1].hash: is there already" in text


@pytest.mark.parametrize("text", ["", "5", "keys: 5", "keys: []\nmore: 1", "keys: [", "\x00"])
def test_a_file_that_is_no_list_of_keys_is_refused(tmp_path: Path, text: str) -> None:
    code, said_text = said(write(tmp_path, text))

    assert code == 3
    if text != "\x00":
        assert "what `penstock key NAME` prints" in said_text


def test_what_the_command_prints_can_be_appended_to_a_new_file(tmp_path: Path) -> None:
    path = write(tmp_path, "", eventgate={"auth": "api_keys"})
    for start in ("", "keys:\n"):
        (tmp_path / "keys.yaml").write_text(start)
        for name in ("one", "two"):
            with (tmp_path / "keys.yaml").open("a") as file:
                key.run(name, is_given=False, out=file, secret=io.StringIO())

        assert said(path)[0] == 0
        assert sorted(kept.name for kept in read(path, []).credentials.api_keys) == ["one", "two"]


def test_a_wrong_entry_of_a_bare_list_is_named_with_its_line(tmp_path: Path) -> None:
    code, text = said(write(tmp_path, "- name: a\n  hash: b2:x\n"))

    assert code == 3 and "keys.yaml:2: keys[0].hash: is not a hash" in text


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    code, text = said(write(tmp_path, key_files=["none.yaml"]))
    assert code == 3 and "auth.key_files[0]" in text and "none.yaml" in text


@pytest.mark.parametrize(
    ("eventgate", "level", "reason"),
    [
        ({"auth": "api_keys"}, "error", "asks for api_keys, but none are configured"),
        ({"auth": "jwt"}, "error", "asks for jwt, but none are configured"),
        ({"auth": ["networks"]}, "error", "asks for networks, but none are configured"),
        ({"auth": "identities", "identities": ["x"]}, "error", "asks for identities, but none are configured"),
        ({"auth": "none", "api_keys": ["web"]}, "warning", "has no effect: its auth is none"),
        ({"networks": ["10.0.0.0/8"]}, "warning", "has no effect: its auth is none"),
        ({"use_edge_uniques": True}, "warning", "has no effect"),
        ({"auth": "keys"}, "error", "allowed is one of none, api_keys, jwt, networks, identities"),
        ({"auth": []}, "error", "allowed is one of"),
        ({"auth": ["none", "jwt"]}, "error", "every client would be let in"),
        ({"api_keys": []}, "error", "an empty list"),
        ({"api_keys": "web"}, "error", "allowed is a list"),
        ({"auth": "networks", "networks": ["10.0.0.1/8"]}, "error", "has host bits set"),
        ({"auth": "identities", "identities": [5]}, "error", "allowed is text"),
        ({"origins": ["https://a.example/"]}, "error", "allowed is an origin"),
        ({"origins": ["*", "https://a.example"]}, "error", "Write ['*'] alone"),
        ({"api_keys": ["*", "web"]}, "error", "is not the name of a key"),
        ({"networks": ["*"]}, "error", "networks[0]"),
        ({"origins": []}, "error", "an empty list"),
        ({"origins": "https://a.example"}, "error", "allowed is a list"),
        ({"orgins": ["https://a.example"]}, "error", "is not a known setting"),
        ({"enrich_fields_from_http_headers": {"http.key": "X-API-Key"}}, "error", "would be written into events"),
    ],
)
def test_what_a_stream_says_is_obeyed_or_complained_of(
    tmp_path: Path, eventgate: dict[str, Any], level: str, reason: str
) -> None:
    code, text = said(write(tmp_path, eventgate=eventgate))

    assert code == (3 if level == "error" else 0)
    assert reason in text and "app.one" in text


@pytest.mark.parametrize(
    ("cors", "is_told"),
    [
        ([], False),
        (["*"], False),
        (["https://a.example", "https://*.b.example"], False),
        (["https://a.example:443", "https://*.b.example:443"], False),
        (["https://b.example"], True),
        (["https://a.example", "https://x.b.example"], True),
    ],
)
def test_pages_that_may_send_and_not_read_are_a_warning(tmp_path: Path, cors: list[str], is_told: bool) -> None:
    path = write(tmp_path, eventgate={"origins": ["https://a.example", "https://*.b.example"]})
    path.write_text(json.dumps(json.loads(path.read_text()) | {"http": {"cors": {"origins": cors}}}))
    code, text = said(path)

    assert code == 0
    assert ("producers.eventgate.origins: https://*.b.example is not in http.cors.origins" in text) == is_told


def test_a_name_that_no_key_has_is_a_warning(tmp_path: Path, web: Key) -> None:
    code, text = said(write(tmp_path, {"keys": [web.entry]}, {"api_keys": ["web", "other"]}))
    assert code == 0 and "no key has the name other" in text


@pytest.mark.parametrize(
    ("auth", "reason"),
    [
        ({"default": ["api_keys"]}, "no client could write"),
        ({"default": ["none", "api_keys"]}, "every client would be let in"),
        ({"default": []}, "one or more"),
        ({"networks": ["x"]}, "auth.networks[0]"),
        ({"identity_header": "Authorization"}, "already has another meaning"),
        ({"identity_header": "a b"}, "is not a header name"),
        ({"jwt": {"keys": "x.json"}}, "auth.jwt.issuer"),
        ({"jwt": {"keys": "x.json", "issuer": ISSUER}}, "auth.jwt.audience"),
        ({"jwt": {"keys": "http://issuer.example.org/", "issuer": ISSUER, "audience": ["a"]}}, "is not https"),
        ({"jwt": {"keys": "ftp://x/", "issuer": ISSUER, "audience": ["a"]}}, "neither a path nor"),
        ({"jwt": {"keys": "x.json", "issuer": ISSUER, "audience": ["a"]}}, "x.json cannot be read"),
    ],
)
def test_settings_that_let_in_nobody_or_everybody_are_refused(
    tmp_path: Path, auth: dict[str, Any], reason: str
) -> None:
    code, text = said(write(tmp_path, **auth))
    assert code == 3 and reason in text


def test_changed_keys_are_told_from_unchanged_ones(tmp_path: Path, web: Key) -> None:
    """What the fetcher brings is none of it: workers follow that by themselves."""
    issuer = Issuer("EdDSA", "one")
    (tmp_path / "jwks.json").write_text(jwks(issuer))
    token = {"keys": "jwks.json", "issuer": ISSUER, "audience": [AUDIENCE]}
    path = write(tmp_path, {"keys": [web.entry]}, jwt=token)
    before = read(path, [])
    streams = json.loads((tmp_path / "streams.yaml").read_text())
    streams["streams"]["app.two"] = {"schema_title": "app/tick"}
    (tmp_path / "streams.yaml").write_text(json.dumps(streams))

    def is_adopted(changed: Generation) -> bool:
        return before.adopt(changed)

    (tmp_path / "keys.yaml").write_text(json.dumps({"keys": [Key("web").entry]}))
    assert not is_adopted(read(path, []))
    (tmp_path / "keys.yaml").write_text(json.dumps({"keys": [web.entry]}))
    (tmp_path / "jwks.json").write_text(jwks(Issuer("EdDSA", "one")))
    assert not is_adopted(read(path, []))
    (tmp_path / "jwks.json").write_text(jwks(issuer))
    assert is_adopted(read(path, []))
    before.close()


def test_the_command_shows_a_key_once_and_keeps_its_hash() -> None:
    out, secret = io.StringIO(), io.StringIO()
    assert key.run("web", is_given=False, out=out, secret=secret) == 0
    text = next(word for word in secret.getvalue().split() if word.startswith("psk_"))
    kept = api_keys.parsed(out.getvalue().split('"')[1])

    assert out.getvalue().startswith("- name: web\n  hash: ") and text not in out.getvalue()
    mark = Grant("api_keys", "web")
    assert api_keys.ApiKeys([(kept, mark)]).find(text.encode()) is mark
    again, nothing = io.StringIO(), io.StringIO()
    assert key.run("web", is_given=True, given=io.StringIO(text + "\n"), out=again, secret=nothing) == 0
    assert again.getvalue() != out.getvalue(), "every hash has a salt of its own"
    assert nothing.getvalue() == ""
    with pytest.raises(UsageError):
        key.run("a b", is_given=False)
    with pytest.raises(UsageError):
        key.run("web", is_given=True, given=io.StringIO("x\n"))


def test_a_start_with_bad_keys_ends(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not a hash"):
        read(write(tmp_path, {"keys": [{"name": "web", "hash": "x"}]}), [])
