"""Overrides from the environment and the command line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.config.framework import shape
from server.config.framework.overrides import from_environment, from_options
from server.config.kafka.secrets import is_secret
from server.config.program import PENSTOCK
from server.config.settings import Config

PATHS = [path for path, kind in shape.every(Config) if shape.section_of(kind) is None]


def by_option(option: str) -> tuple[tuple[str, ...], Any]:
    overrides, findings = from_options([option], PENSTOCK)
    assert findings == []
    return overrides[0].path, overrides[0].value


def by_variable(**environ: str) -> tuple[tuple[str, ...], Any]:
    overrides, findings = from_environment(environ, PENSTOCK)
    assert findings == []
    return overrides[0].path, overrides[0].value


@given(st.sampled_from(PATHS))
def test_every_setting_can_be_named_both_ways(path: tuple[str, ...]) -> None:
    assert by_option(".".join(path) + "=null")[0] == path
    assert by_variable(**{"PENSTOCK_" + "__".join(path).upper(): "null"})[0] == path


@given(st.integers(-(10**20), 10**20))
def test_a_number_comes_out_as_it_went_in(number: int) -> None:
    assert by_option(f"http.backlog={number}")[1] == number


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1).filter(lambda text: text[0] not in "'\"")
)
def test_text_is_taken_as_it_stands_where_only_text_is_allowed(text: str) -> None:
    assert by_option(f"sink.sqlite.path={text}")[1] == text
    assert by_variable(PENSTOCK_SINK__TOPIC_PREFIX=text)[1] == text


@pytest.mark.slow(reason="it reads the settings for each of 100 examples")
@given(st.text())
def test_a_secret_is_taken_as_it_stands(text: str) -> None:
    assert by_option(f"sink.kafka.sasl.password={text}")[1] == text
    assert by_variable(PENSTOCK_SINK__KAFKA__SASL_PASSWORD=text)[1] == text


@given(st.text(), st.text())
def test_no_option_makes_the_parser_fail(path: str, value: str) -> None:
    overrides, findings = from_options(
        [f"{path}={value}", path, f"sink.kafka.{path}={value}", f"http={value}"], PENSTOCK
    )

    assert len(overrides) + len(findings) == 4


@given(st.dictionaries(st.text().map(lambda name: "PENSTOCK_" + name), st.text()))
def test_no_environment_makes_the_parser_fail(environ: dict[str, str]) -> None:
    from_environment(environ, PENSTOCK)


@pytest.mark.parametrize(
    ("option", "path", "value"),
    [
        ("drain_s=2.5", ("drain_s",), 2.5),
        ("http.listen=[a:1, 'b:2']", ("http", "listen"), ["a:1", "b:2"]),
        ("schemas.allow_insecure=true", ("schemas", "allow_insecure"), True),
        ("service_name=", ("service_name",), None),
        ("service_name=null", ("service_name",), None),
        ("service_name='null'", ("service_name",), "null"),
        ("service_name=5", ("service_name",), "5"),
        ("service_name=a: b", ("service_name",), "a: b"),
        ("service_name=a=b", ("service_name",), "a=b"),
        ("sink.topic_prefix=", ("sink", "topic_prefix"), ""),
        ("workers=auto", ("workers",), "auto"),
        ("workers=3", ("workers",), 3),
        ("sink.kafka.bootstrap.servers=a:1,b:2", ("sink", "kafka", "bootstrap.servers"), "a:1,b:2"),
        ("sink.kafka.linger.ms=5", ("sink", "kafka", "linger.ms"), 5),
        ("sink.kafka.sasl.username=007", ("sink", "kafka", "sasl.username"), "007"),
        ("sink.kafka.sasl.username=1e3", ("sink", "kafka", "sasl.username"), "1e3"),
        ("sink.kafka={acks: all}", ("sink", "kafka"), {"acks": "all"}),
        ("sink.kafka_files.ssl.key.password=p", ("sink", "kafka_files", "ssl.key.password"), "p"),
        ("intake.stream_field=[a, b]", ("intake", "stream_field"), ["a", "b"]),
    ],
)
def test_an_option_is_read(option: str, path: tuple[str, ...], value: Any) -> None:
    assert by_option(option) == (path, value)


def test_below_a_free_map_the_underscores_of_a_variable_are_dots() -> None:
    path, value = by_variable(PENSTOCK_SINK__KAFKA__BOOTSTRAP_SERVERS="a:1")

    assert (path, value) == (("sink", "kafka", "bootstrap.servers"), "a:1")
    assert by_variable(PENSTOCK_SINK__KAFKA_FILES__SASL_PASSWORD="f")[0] == ("sink", "kafka_files", "sasl.password")


def test_a_narrow_variable_wins_over_a_wide_one() -> None:
    overrides, _ = from_environment(
        {"PENSTOCK_LOG__LEVEL": "debug", "PENSTOCK_LOG": "{level: error, style: text}"}, PENSTOCK
    )

    assert [override.path for override in overrides] == [("log",), ("log", "level")]


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("http", "--set: is not of the form a.b=value. Write --set http.backlog=2048"),
        ("=5", "--set: is not of the form a.b=value. Write --set http.backlog=2048"),
        ("htp.backlog=5", "--set htp.backlog: there is no setting htp. Did you mean http?"),
        ("http.backlg=5", "--set http.backlg: there is no setting http.backlg. Did you mean http.backlog?"),
        (
            "drain_s.x=5",
            "--set drain_s.x: drain_s has no settings inside. It is a number above 0 to 86,400",
        ),
        ("http.listen=[a", "--set http.listen: the value for http.listen is not YAML. Put text in quotes: '\"…\"'"),
    ],
)
def test_what_is_wrong_with_an_option_is_said_with_its_name(option: str, text: str) -> None:
    overrides, findings = from_options([option], PENSTOCK)

    assert overrides == []
    assert [str(finding) for finding in findings] == [text]


def test_an_unknown_variable_is_an_error_that_names_it() -> None:
    _, findings = from_environment({"PENSTOCK_HTTP__BACKLGO": "1", "PATH": "/bin", "PENSTOCKS": "x"}, PENSTOCK)

    assert [str(finding) for finding in findings] == [
        "PENSTOCK_HTTP__BACKLGO: there is no setting http.backlgo. Did you mean http.backlog?"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "PENSTOCK_SERVICE_HOST",
        "PENSTOCK_SERVICE_PORT",
        "PENSTOCK_SERVICE_PORT_HTTP",
        "PENSTOCK_PORT",
        "PENSTOCK_PORT_8192_TCP",
        "PENSTOCK_PORT_8192_TCP_ADDR",
        "PENSTOCK_ADMIN_SERVICE_HOST",
        "PENSTOCK_ADMIN_PORT_8193_TCP_PROTO",
    ],
)
def test_what_kubernetes_sets_for_a_service_of_our_name_is_no_error(name: str) -> None:
    assert from_environment({name: "tcp://10.0.0.1:8192"}, PENSTOCK) == ([], [])


@pytest.mark.parametrize("name", ["PENSTOCK_HTTP__PORT", "PENSTOCK_PORTS", "PENSTOCK_SERVICE", "PENSTOCK_SINK__PORT"])
def test_what_only_resembles_it_is_an_error(name: str) -> None:
    assert len(from_environment({name: "1"}, PENSTOCK)[1]) == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sasl.password", True),
        ("ssl.key.password", True),
        ("ssl.key.pem", True),
        ("sasl.oauthbearer.client.secret", True),
        ("sasl.oauthbearer.config", True),
        ("ssl.keystore.password", True),
        ("ssl.key.location", False),
        ("ssl.keystore.location", False),
        ("sasl.kerberos.keytab", False),
        ("bootstrap.servers", False),
        ("client.id", False),
    ],
)
def test_secrets_are_told_by_the_name_of_the_property(name: str, expected: bool) -> None:
    assert is_secret(name) is expected


@pytest.mark.parametrize("section", ["auth", "http", "http.limits"])
@pytest.mark.parametrize("value", ["", "~", "null", " "])
def test_an_empty_value_for_a_section_is_refused(section: str, value: str) -> None:
    """A deployment writes PENSTOCK_AUTH=$AUTH, and AUTH is not set: whatever the file says of it would be gone."""
    variable = "PENSTOCK_" + section.upper().replace(".", "__")
    for overrides, findings in (
        from_options([f"{section}={value}"], PENSTOCK),
        from_environment({variable: value}, PENSTOCK),
    ):
        assert overrides == []
        assert [finding.reason.partition(",")[0] for finding in findings] == ["is empty"]


def test_variables_that_differ_in_capitals_alone_are_refused() -> None:
    _, (finding,) = from_environment({"PENSTOCK_WORKERS": "1", "PENSTOCK_Workers": "2"}, PENSTOCK)

    assert str(finding) == "PENSTOCK_Workers: sets workers, as PENSTOCK_WORKERS does. Keep one of them"


@pytest.mark.parametrize(
    ("variable", "path"),
    [
        ("PENSTOCK_STREAMS__HEADERS__X_API_KEY", ("streams", "headers", "x-api-key")),
        ("PENSTOCK_SCHEMAS__HEADERS__AUTHORIZATION", ("schemas", "headers", "authorization")),
        ("PENSTOCK_INTAKE__REPORTS__NETWORK_ERROR", ("intake", "reports", "network-error")),
        ("PENSTOCK_SINK__KAFKA__SSL_CA_LOCATION", ("sink", "kafka", "ssl.ca.location")),
        ("PENSTOCK_SINK__KAFKA__LOG_LEVEL", ("sink", "kafka", "log_level")),
        ("PENSTOCK_SINK__KAFKA_FILES__SASL_PASSWORD", ("sink", "kafka_files", "sasl.password")),
    ],
)
def test_underscores_below_a_free_map_stand_for_what_its_names_have(variable: str, path: tuple[str, ...]) -> None:
    assert by_variable(**{variable: "{}"})[0] == path
