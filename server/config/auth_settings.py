"""Define the settings of who may write to streams.

Place: config.settings → HERE.
Rule: as in config.settings, which is read first.
Not here: what a stream asks (catalog.stream), what settings ask of one another (config.auth_rules).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, field

from server.config.framework.section import Seconds, Section, Text, says

Way = Literal["none", "api_keys", "jwt", "networks", "identities"]

KEY_NAME: Final = re.compile(r"(?!psk_)[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # It is never a key, because names are shown.


class Jwt(Section, frozen=True):
    """Tokens that somebody else signs: ES256, EdDSA (Ed25519) or RS256, and nothing else."""

    keys: Annotated[
        Text | None,
        says(
            "File or `https:` URL of the public keys, a JWKS. A file is read at the start and on HUP; a URL is fetched "
            "for all workers again and again. Null: no tokens are taken."
        ),
    ] = None
    issuer: Annotated[Text | None, says("What `iss` of a token must be. Must be set when `keys` is.")] = None
    audience: Annotated[list[Text], says("One of these must be in `aud` of a token. Must be set when `keys` is.")] = (
        field(default_factory=list)
    )
    leeway_s: Annotated[
        float, Meta(ge=0, le=600), says("By so much the clocks of issuer and server may differ, for `exp` and `nbf`.")
    ] = 30.0
    streams_claim: Annotated[
        Text | None,
        says(
            "Claim that lists the streams that a token may write to, names and `/regexes/`; a token without it may "
            "write to none. Null: a token may write to every stream that takes tokens."
        ),
    ] = "streams"
    refresh_s: Annotated[Seconds, says("How often the URL is asked again, a tenth more or less.")] = 300.0


class Auth(Section, frozen=True):
    """Who may write to streams. A stream's `producers.eventgate.auth` decides for its events."""

    default: Annotated[
        list[Way],
        Meta(min_length=1),
        says("What streams ask for that do not say it themselves. Any one of several is enough."),
    ] = field(default_factory=lambda: ["none"])
    keys: Annotated[
        list[dict[str, Any]],
        says("API keys: maps of `name`, `hash` and, if wanted, `streams`, `origins`, `expires`. See AUTH.md."),
    ] = field(default_factory=list)
    key_files: Annotated[
        list[Text], says("Files with more of them below `keys:`. They are read at the start and on HUP.")
    ] = field(default_factory=list)
    query_param: Annotated[
        Text | None,
        says("Query parameter in which beacons may give their API key, as `sendBeacon` has no headers. Null: none."),
    ] = None
    networks: Annotated[
        list[Text], says("Addresses or networks (`10.0.0.0/8`) of clients, for streams that ask for `networks`.")
    ] = field(default_factory=list)
    identity_header: Annotated[
        Text | None,
        says(
            "Header in which one of `http.trusted_proxies` names the client that it has identified (mTLS). The proxy "
            "must set it on every request, whatever the client sent. Null: none."
        ),
    ] = None
    identities: Annotated[
        list[Text], says("Clients, as that header names them, for streams that ask for `identities`.")
    ] = field(default_factory=list)
    jwt: Annotated[Jwt, says("Tokens.")] = field(default_factory=Jwt)
