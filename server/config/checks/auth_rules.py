"""Check the settings of ``auth`` against one another and against other settings.

Place: config.rules → HERE.
Rule: settings that would let in no client, or more clients than was meant, are an error at the start.
Not here: the keys themselves (auth.credentials), the credentials that streams require (auth.check_auth).
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from server.config.checks.url_rules import HEADER_NAME
from server.config.framework.breach import Breach
from server.config.framework.document import SettingsDocument
from server.config.settings import Config
from server.config.urls import is_url, problem_of
from server.text.networks import HINT, network

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TAKEN = ("authorization", "x-api-key", "x-forwarded-for", "host")


def auth_breaches(config: Config, _: SettingsDocument) -> Iterator[Breach]:
    """Yield every broken rule."""
    yield from _ways(config)
    yield from _networks(config)
    yield from _identities(config)
    yield from _jwt(config)


def _ways(config: Config) -> Iterator[Breach]:
    auth = config.auth
    if "none" in auth.default and len(auth.default) > 1:
        reason = "has `none` together with other ways: every client would be let in"
        yield Breach(("auth", "default"), reason, "leave out none, or the other ways")
    needed = {
        "api_keys": bool(auth.keys or auth.key_files),
        "jwt": auth.jwt.keys is not None,
        "networks": bool(auth.networks),
        "identities": auth.identity_header is not None and bool(auth.identities),
    }
    hints = {
        "api_keys": "set auth.key_files or auth.keys",
        "jwt": "set auth.jwt.keys",
        "networks": "set auth.networks",
        "identities": "set auth.identity_header and auth.identities",
    }
    for way in auth.default:
        if not needed.get(way, True):
            yield Breach(
                ("auth", "default"), f"asks for {way}, but none are configured, so no client could write", hints[way]
            )


def _networks(config: Config) -> Iterator[Breach]:
    for index, text in enumerate(config.auth.networks):
        try:
            network(text)
        except ValueError as error:
            yield Breach(("auth", "networks", index), str(error), HINT)


def _identities(config: Config) -> Iterator[Breach]:
    header = config.auth.identity_header
    if header is None:
        return
    path = ("auth", "identity_header")
    if not HEADER_NAME.fullmatch(header):
        yield Breach(path, f"{header!r} is not a header name", "write X-Client-Identity")
    elif header.lower() in _TAKEN:
        yield Breach(path, f"{header} already has another meaning", "write X-Client-Identity")
    if not config.http.trusted_proxies:
        hint = "name the proxies that set it"
        yield Breach(path, "is never used: http.trusted_proxies is empty", hint, is_warning=True)


def _jwt(config: Config) -> Iterator[Breach]:
    jwt = config.auth.jwt
    if jwt.keys is None:
        return
    if jwt.issuer is None:
        hint = "name the issuer: other issuers may sign tokens with the same keys"
        yield Breach(("auth", "jwt", "issuer"), "is not set", hint)
    if not jwt.audience:
        hint = "name this service as tokens do; without it, tokens for other services would be accepted"
        yield Breach(("auth", "jwt", "audience"), "is empty", hint)
    if is_url(jwt.keys):
        problem = problem_of(jwt.keys, may_have_query=True)
        if problem is None and urlsplit(jwt.keys).scheme != "https" and urlsplit(jwt.keys).hostname not in _LOOPBACK:
            problem = "is not https: an attacker on the network path could inject keys"
        if problem is not None:
            yield Breach(("auth", "jwt", "keys"), problem, "write https://host/path, or the path of a file")
    elif "://" in jwt.keys:
        yield Breach(("auth", "jwt", "keys"), "is neither a path nor an https URL", "write https://host/path")
