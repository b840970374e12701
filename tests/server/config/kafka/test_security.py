"""Properties that can never authenticate, or protect nothing, are refused before anything is served."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from server.config.kafka import files as kafka_files
from server.config.kafka.rules import Value
from server.config.kafka.settings import check

SERVERS: dict[str, Value] = {"bootstrap.servers": "127.0.0.1:9092"}
OIDC: dict[str, Value] = {
    "security.protocol": "sasl_ssl",
    "sasl.mechanism": "OAUTHBEARER",
    "sasl.oauthbearer.method": "oidc",
    "sasl.oauthbearer.token.endpoint.url": "https://127.0.0.1:1/",
    "sasl.oauthbearer.client.id": "me",
    "sasl.oauthbearer.client.secret": "secret",
}
UNSECURED: dict[str, Value] = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanisms": "OAUTHBEARER",
    "enable.sasl.oauthbearer.unsecure.jwt": True,
    "sasl.oauthbearer.config": "principalClaimName=azp principal=me",
}
SCRAM: dict[str, Value] = {
    "security.protocol": "sasl_ssl",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "me",
    "sasl.password": "password",
}


def without(properties: dict[str, Value], *names: str) -> dict[str, Value]:
    return {name: value for name, value in properties.items() if name not in names}


@pytest.mark.parametrize(
    "properties",
    [
        OIDC,
        UNSECURED,
        SCRAM,
        {**SCRAM, "sasl.mechanism": "PLAIN"},
        {**OIDC, "sasl.oauthbearer.method": "OIDC"},
        {"security.protocol": "ssl"},
        {"security.protocol": "ssl", "ssl.ca.location": "probe"},
        {"security.protocol": "SSL", "ssl.cipher.suites": "ECDHE-ECDSA-AES256-GCM-SHA384"},
    ],
)
def test_what_can_authenticate_passes(properties: dict[str, Value]) -> None:
    assert check(SERVERS | properties) == []


@pytest.mark.parametrize(
    ("properties", "name", "words"),
    [
        (without(OIDC, "sasl.oauthbearer.method"), "sasl.mechanism", "can never authenticate"),
        ({**OIDC, "sasl.oauthbearer.method": "default"}, "sasl.mechanism", "set sasl.oauthbearer.method to oidc"),
        (without(OIDC, "sasl.oauthbearer.client.id"), "sasl.oauthbearer.client.id", "is missing"),
        (without(OIDC, "sasl.oauthbearer.client.secret"), "sasl.oauthbearer.client.secret", "is missing"),
        ({**OIDC, "sasl.oauthbearer.token.endpoint.url": ""}, "sasl.oauthbearer.token.endpoint.url", "is missing"),
        (
            {**OIDC, "sasl.oauthbearer.metadata.authentication.type": "aws_iam"},
            "sasl.oauthbearer.metadata.authentication.type",
            "does not fetch aws_iam tokens",
        ),
        (without(UNSECURED, "sasl.oauthbearer.config"), "sasl.oauthbearer.config", "names no principal"),
        ({**UNSECURED, "sasl.oauthbearer.config": "scope=a"}, "sasl.oauthbearer.config", "names no principal"),
        ({**UNSECURED, "enable.sasl.oauthbearer.unsecure.jwt": False}, "sasl.mechanisms", "can never authenticate"),
        (without(SCRAM, "sasl.username"), "sasl.username", "SCRAM-SHA-512 needs it"),
        (without(SCRAM, "sasl.password"), "sasl.password", "SCRAM-SHA-512 needs it"),
        ({**SCRAM, "sasl.mechanism": "PLAIN", "sasl.password": ""}, "sasl.password", "PLAIN needs it"),
        ({**SCRAM, "sasl.mechanism": "scram-sha-512"}, "sasl.mechanism", "Unsupported SASL mechanism"),
        (without(SCRAM, "sasl.mechanism"), "security.protocol", "has no GSSAPI"),
        ({**SCRAM, "sasl.mechanism": "GSSAPI"}, "sasl.mechanism", "has no GSSAPI"),
    ],
)
def test_what_can_never_authenticate_is_refused_by_its_name(
    properties: dict[str, Value], name: str, words: str
) -> None:
    """librdkafka takes the first few and tries for ever; of the rest it stops at the first, and names it poorly."""
    [problem] = check(SERVERS | properties)

    assert problem.name == name
    assert words in str(problem)
    assert problem.hint


@pytest.mark.parametrize(
    ("properties", "names", "words"),
    [
        (without(SCRAM, "security.protocol"), ["sasl.mechanism", "sasl.username", "sasl.password"], "is plaintext"),
        ({**SCRAM, "security.protocol": "ssl"}, ["sasl.mechanism", "sasl.username", "sasl.password"], "is ssl"),
        ({"ssl.ca.location": "probe"}, ["ssl.ca.location"], "encrypts nothing"),
        ({"ssl.ca.location": "/none/ca.pem"}, ["ssl.ca.location"], "encrypts nothing"),
        ({"ssl.ca.pem": "-----"}, ["ssl.ca.pem"], "encrypts nothing"),
        ({**SCRAM, "security.protocol": "sasl_plaintext", "ssl.ca.location": "probe"}, ["ssl.ca.location"], "sasl_ssl"),
    ],
)
def test_what_the_protocol_leaves_aside_is_refused(properties: dict[str, Value], names: list[str], words: str) -> None:
    problems = check(SERVERS | properties)

    assert [problem.name for problem in problems] == names
    assert all(problem.is_warning == problem.name.startswith("ssl.") for problem in problems)
    assert all("has no effect" in problem.reason and words in str(problem) for problem in problems)


def test_every_problem_is_said_beside_that_of_sasl() -> None:
    problems = check({**SERVERS, "security.protocol": "sasl_ssl", "sasl.mechanism": "OAUTHBEARER", "lingerms": 5})

    assert [problem.name for problem in problems] == ["sasl.mechanism", "lingerms"]


@pytest.mark.parametrize(
    ("name", "path", "words"),
    [
        ("ssl.ca.location", "none.pem", "No such file"),
        ("ssl.certificate.location", "none.pem", "No such file"),
        ("ssl.key.location", ".", "is a directory"),
        ("ssl.keystore.location", "none.p12", "No such file"),
        ("ssl.crl.location", "a/b", "Not a directory"),
        ("https.ca.location", "none.pem", "No such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_with_why(tmp_path: Path, name: str, path: str, words: str) -> None:
    (tmp_path / "a").write_text("")
    [problem] = check({**SERVERS, "security.protocol": "ssl", name: str(tmp_path / path)})

    assert problem.name == name
    assert str(tmp_path) in problem.reason and words in problem.reason


def test_files_of_another_machine_are_not_looked_at() -> None:
    given: dict[str, Value] = {**SERVERS, "security.protocol": "ssl", "ssl.ca.location": "/none/ca.pem", "lingerms": 5}

    assert [problem.name for problem in check(given, are_files_here=False)] == ["lingerms"]


def test_the_state_of_files_changes_with_their_content_alone(tmp_path: Path) -> None:
    ca, key, directory = tmp_path / "ca.pem", tmp_path / "key.pem", tmp_path / "certs"
    ca.write_text("one")
    directory.mkdir()
    properties = {"ssl.ca.location": str(directory), "ssl.certificate.location": str(ca), "ssl.key.location": str(key)}
    seen = [kafka_files.state(properties)]

    def is_other() -> bool:
        seen.append(kafka_files.state(properties))
        return seen[-1] not in seen[:-1]

    os.utime(ca, (0, 0))
    assert not is_other()
    ca.write_text("two")
    assert is_other()
    key.write_text("key")
    assert is_other(), "a file that was not there"
    (directory / "b.pem").write_text("b")
    assert is_other()
    (directory / "b.pem").write_text("c")
    assert is_other()
    (tmp_path / "new.pem").write_text("three")
    ca.unlink()
    ca.symlink_to("new.pem")
    assert is_other(), "as secrets are mounted by Kubernetes"


def test_a_value_that_is_no_file_changes_nothing() -> None:
    assert kafka_files.state({"ssl.ca.location": "probe", "client.id": "a"}) == kafka_files.state({})
