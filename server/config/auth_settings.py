"""Define the settings of who may write to streams.

Place: config.settings → HERE.
Rule: the same as in config.settings; read that file before this one.
Not here: the settings of a stream (catalog.stream), checks of settings against one another (config.checks.auth_rules).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, field

from server.config.framework.section import Seconds, Section, Text, says

Way = Literal["none", "api_keys", "jwt", "networks", "identities"]

KEY_NAME: Final = re.compile(r"(?!psk_)[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # It is never a key, because names are shown.


class Jwt(Section, frozen=True):
    """Tokens that another service signs, with ES256, EdDSA (Ed25519) or RS256 and no other algorithm."""

    keys: Annotated[
        Text | None,
        says(
            "File or `https:` URL of the public keys, a JWKS. A file is read at the start and on HUP; a URL is fetched "
            "for all workers every `refresh_s`. Null: no tokens are accepted."
        ),
    ] = None
    issuer: Annotated[Text | None, says("Required `iss` of a token. Must be set when `keys` is.")] = None
    audience: Annotated[
        list[Text], says("Values of which one must be in `aud` of a token. Must be set when `keys` is.")
    ] = field(default_factory=list)
    leeway_s: Annotated[
        float,
        Meta(ge=0, le=600),
        says("Most by which the clocks of issuer and server may differ, for `exp` and `nbf`."),
    ] = 30.0
    streams_claim: Annotated[
        Text | None,
        says(
            "Claim that lists the streams that a token may write to, by names and `/regexes/`; a token without it may "
            "write to none. Null: a token may write to every stream that accepts tokens."
        ),
    ] = "streams"
    refresh_s: Annotated[Seconds, says("Interval at which the URL is fetched again, varied by 10 %.")] = 300.0


class Auth(Section, frozen=True):
    """Credentials for writing to streams. A stream's `producers.eventgate.auth` decides for its events."""

    default: Annotated[
        list[Way],
        Meta(min_length=1),
        says("Credentials that are required by streams without an `auth` of their own. Any one of several is enough."),
    ] = field(default_factory=lambda: ["none"])
    keys: Annotated[
        list[dict[str, Any]],
        says("API keys: maps of `name`, `hash` and, if wanted, `streams`, `origins`, `expires`. See AUTH.md."),
    ] = field(default_factory=list)
    key_files: Annotated[
        list[Text], says("Files with more API keys below `keys:`. They are read at the start and on HUP.")
    ] = field(default_factory=list)
    query_param: Annotated[
        Text | None,
        says("Query parameter in which beacons may send their API key, as `sendBeacon` has no headers. Null: none."),
    ] = None
    networks: Annotated[
        list[Text], says("Addresses or networks (`10.0.0.0/8`) of clients, for streams that require `networks`.")
    ] = field(default_factory=list)
    identity_header: Annotated[
        Text | None,
        says(
            "Header in which one of `http.trusted_proxies` names the client that it has identified (mTLS). The proxy "
            "must set or remove it on every request. Null: none."
        ),
    ] = None
    identities: Annotated[
        list[Text], says("Clients, as that header names them, for streams that require `identities`.")
    ] = field(default_factory=list)
    jwt: Annotated[Jwt, says("Tokens.")] = field(default_factory=Jwt)
