"""Properties of librdkafka that can never authenticate, or that only seem to protect.

Place: config.kafka.settings → HERE.
Rules: librdkafka accepts such properties and then tries without end; each is refused by the name that the user wrote,
or by the name that is missing. A certificate that librdkafka ignores while it connects without encryption is a warning:
if nothing else is wrong, events arrive. Faults that librdkafka itself refuses are reported in its own words.
Source: librdkafka 2.16, CONFIGURATION.md and the wiki page "Using SASL with librdkafka".
Not here: whether files can be read (config.kafka.files).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from server.config.kafka.rules import Properties, RefusedProperty, canonical, text_of

_MECHANISM: Final = "sasl.mechanisms"
_OAUTH: Final = "sasl.oauthbearer."
_UNSECURED: Final = "enable.sasl.oauthbearer.unsecure.jwt"
_OIDC: Final = ("token.endpoint.url", "client.id", "client.secret")


def never_authenticates(properties: Properties) -> list[RefusedProperty]:
    """Return all properties that can never authenticate, and those without effect."""
    given = {canonical(name): text_of(value).strip() for name, value in properties.items()}
    written = {canonical(name): name for name in properties}
    protocol = given.get("security.protocol", "plaintext").lower()
    problems = [*_unused(given, protocol)]
    if protocol.startswith("sasl_"):
        problems += _sasl(given)
    return [problem._replace(name=written.get(problem.name, problem.name)) for problem in problems]


def without_sasl(properties: Properties) -> dict[str, str | int | float | bool]:
    """Return the properties without SASL, for librdkafka to check when SASL is refused already: it would stop there."""
    kept = {name: value for name, value in properties.items() if not _is_sasl(name)}
    protocol = text_of(kept.get("security.protocol", "")).lower()
    if protocol.startswith("sasl_"):
        kept["security.protocol"] = protocol.removeprefix("sasl_")
    return kept


def _is_sasl(name: str) -> bool:
    return name.startswith(("sasl.", "enable.sasl."))


def _unused(given: dict[str, str], protocol: str) -> Iterator[RefusedProperty]:
    """Find properties that librdkafka uses only with another protocol."""
    for name in given:
        if protocol in ("plaintext", "ssl") and _is_sasl(name):
            wanted = "sasl_ssl" if protocol == "ssl" else "sasl_ssl or sasl_plaintext"
            reason = f"has no effect: security.protocol is {protocol}, which does not authenticate this way"
            yield RefusedProperty(name, reason, f"set security.protocol to {wanted}, or remove it")
        elif protocol in ("plaintext", "sasl_plaintext") and _is_of_tls(name):
            reason = f"has no effect: security.protocol is {protocol}, which encrypts nothing"
            wanted = "sasl_ssl" if protocol == "sasl_plaintext" else "ssl"
            yield RefusedProperty(name, reason, f"set security.protocol to {wanted}, or remove it", is_warning=True)


def _is_of_tls(name: str) -> bool:
    return name.startswith("ssl.") and name.endswith((".location", ".pem"))


def _sasl(given: dict[str, str]) -> Iterator[RefusedProperty]:
    mechanism = given.get(_MECHANISM, "GSSAPI")
    if mechanism == "PLAIN" or mechanism.startswith("SCRAM-"):
        for name in ("sasl.username", "sasl.password"):
            if not given.get(name):
                hint = "set it, the password best in sink.kafka_files or the environment"
                yield RefusedProperty(name, f"is missing: {mechanism} needs it", hint)
    elif mechanism == "OAUTHBEARER":
        yield from _oauth(given)


def _oauth(given: dict[str, str]) -> Iterator[RefusedProperty]:
    """Check where a token comes from: an OIDC provider, or an unsecured token. The third way, a callback, cannot be
    configured."""
    if given.get(f"{_OAUTH}metadata.authentication.type", "none").lower() == "aws_iam":
        reason = "librdkafka does not fetch aws_iam tokens by itself"
        yield RefusedProperty(f"{_OAUTH}metadata.authentication.type", reason, f"use {_OAUTH}method: oidc, or SCRAM")
    elif given.get(f"{_OAUTH}method", "default").lower() == "oidc":
        yield from _oidc(given)
    elif given.get(_UNSECURED, "false").lower() not in ("true", "t", "1"):
        reason = "can never authenticate: nothing says where tokens come from"
        names = ", ".join(f"{_OAUTH}{name}" for name in _OIDC)
        hint = f"set {_OAUTH}method to oidc, and {names}; or, for tests alone, {_UNSECURED}"
        yield RefusedProperty(_MECHANISM, reason, hint)
    elif not any(word.startswith("principal=") for word in given.get(f"{_OAUTH}config", "").split()):
        reason = "names no principal: an unsecured token has to"
        yield RefusedProperty(f"{_OAUTH}config", reason, "write principal=NAME")


def _oidc(given: dict[str, str]) -> Iterator[RefusedProperty]:
    """Check the grant client_credentials; for the other grants librdkafka reports what is missing."""
    is_default = f"{_OAUTH}metadata.authentication.type" not in given
    if is_default and given.get(f"{_OAUTH}grant.type", "client_credentials") == "client_credentials":
        for name in _OIDC:
            if not given.get(_OAUTH + name):
                yield RefusedProperty(_OAUTH + name, f"is missing: {_OAUTH}method: oidc needs it", "set it")
