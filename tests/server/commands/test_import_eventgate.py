"""``penstock import-eventgate``: what comes out can be used, and what was left is said with its line."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.commands import check, import_eventgate
from server.config.load import load
from server.errors import SettingsError, UsageError

CONF = """\
port: 8192
max_body_size: 10mb
cors: '*'
user_agent: eventgate-production
stream_config_uri: file://{directory}/streams.yaml
stream_config_ttl: 60
schema_base_uris: ['file://{examples}/schemas/']
schema_precache_uris: [/error/0.0.3]
schema_uri_field: $schema
stream_field: meta.stream
schema_uri_query_param: schema
topic_prefix: eqiad.
error_stream: penstock.error.validation
transforms: [eventgateWikimediaDefaults, processEdgeUniques]
made_up: true
kafka:
  conf:
    metadata.broker.list: ['127.0.0.1:9092', '127.0.0.2:9092']
    compression.codec: snappy
    message.max.bytes: 4194304
    message.timeout.ms: 300000
    producer.poll.interval.ms: 100
    ssl.key.password: hunter2
  topic_conf: {{}}
  hasty: {{conf: {{queue.buffering.max.ms: 1000}}}}
  guaranteed: {{conf: {{queue.buffering.max.ms: 10}}}}
"""


@pytest.fixture
def conf(tmp_path: Path, examples: Path) -> dict[str, Any]:
    (tmp_path / "streams.yaml").write_text((examples / "streams.yaml").read_text())
    value: dict[str, Any] = yaml.safe_load(CONF.format(directory=tmp_path, examples=examples))
    return value


def shaped(conf: dict[str, Any], shape: str) -> dict[str, Any]:
    """The same settings in each of the files that they come in."""
    name = "penstock"
    return {
        "bare": conf,
        "conf": {"conf": conf},
        "runner": {
            "num_workers": "ncpu",
            "worker_heap_limit_mb": 200,
            "logging": {"level": "warn", "streams": []},
            "services": [{"name": name, "module": "eventgate", "conf": conf}],
        },
        "chart": {
            "service": {"port": 4492},
            "main_app": {"name": name, "num_workers": 2, "log_level": "warn", "prestop_sleep": 11, "conf": conf},
        },
    }[shape]


def imported(directory: Path, value: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> tuple[Path, list[str]]:
    """The file that was written, and what was said."""
    source, output = directory / "eventgate.yaml", directory / "penstock.yaml"
    source.write_text(yaml.safe_dump(value, sort_keys=False))
    assert import_eventgate.run(source, output) == 0
    return output, capsys.readouterr().err.replace(f"{directory}/", "").splitlines()


@pytest.mark.parametrize("shape", ["bare", "conf", "runner", "chart"])
def test_the_result_passes_check(
    shape: str, conf: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, _ = imported(tmp_path, shaped(conf, shape), capsys)
    out = io.StringIO()

    assert check.run(output, [], environ={}, out=out) == 0, out.getvalue()


def test_what_has_a_counterpart_is_taken_over(
    conf: dict[str, Any], tmp_path: Path, examples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, _ = imported(tmp_path, shaped(conf, "runner"), capsys)
    config = load(output, [], {}).config

    assert config.service_name == "penstock" and config.workers == "auto" and config.log.level == "warning"
    assert config.http.listen == ["0.0.0.0:8192"]
    assert config.http.cors.origins == ["*"]
    assert config.http.limits.max_body_bytes == 10 << 20
    assert config.http.limits.max_event_bytes == 4 << 20, "as large as Kafka takes"
    assert config.schemas.base_uris == [f"{examples}/schemas/"]
    assert config.intake.schema_uri_query_param == "schema"
    assert config.intake.stream_query_param is None, "EventGate reads none unless told to"
    assert config.sink.topic_prefix == "eqiad."
    assert config.sink.kafka == {
        "bootstrap.servers": "127.0.0.1:9092,127.0.0.2:9092",
        "compression.codec": "snappy",
        "message.max.bytes": 4194304,
        "ssl.key.password": "hunter2",
        "linger.ms": 10,
        "client.id": "eventgate-production",
    }


def test_what_has_none_is_said_with_its_line(
    conf: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, said = imported(tmp_path, shaped(conf, "bare"), capsys)
    lines = (tmp_path / "eventgate.yaml").read_text().splitlines()
    about = {}
    for note in said:
        where, _, rest = note.partition(": ")
        if where.startswith("eventgate.yaml:"):
            key = rest.partition(": ")[0]
            about[key] = lines[int(where.partition(":")[2]) - 1]

    for key in ("schema_precache_uris", "stream_config_ttl", "made_up", "kafka.hasty"):
        assert about[key].strip().startswith(key.rpartition(".")[2] + ":")
    assert "message.timeout.ms" in about["kafka.conf.message.timeout.ms"]
    assert "producer.poll.interval.ms" in about["kafka.conf.producer.poll.interval.ms"]
    assert any("processEdgeUniques" in note for note in said)
    assert not any("hunter2" in note for note in said)
    assert output.stat().st_mode & 0o077 == 0


def test_no_setting_is_passed_over_in_silence(
    conf: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in conf:
        written = imported_text(tmp_path, {key: conf[key], "port": 1}, capsys)
        without = imported_text(tmp_path, {"port": 1}, capsys)
        assert written != without or key == "port", f"{key} changed nothing, and nothing was said"


def imported_text(directory: Path, value: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    (directory / "one.yaml").write_text(yaml.safe_dump(value, sort_keys=False))
    import_eventgate.run(directory / "one.yaml", None)
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_without_kafka_events_go_where_they_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, said = imported(tmp_path, {"services": [{"name": "dev", "conf": {"output_path": "out.json"}}]}, capsys)

    assert load(output, [], {}).config.sink.kind == "sqlite"
    assert any("penstock events" in note for note in said)


@pytest.mark.parametrize("text", ["[1]", "services: [{name: x}]", "main_app: {name: x}"])
def test_what_is_no_eventgate_is_refused_with_its_place(text: str, tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(text)

    with pytest.raises(SettingsError, match=r"odd\.yaml:1"):
        import_eventgate.run(tmp_path / "odd.yaml", None)


def test_what_cannot_be_used_here_is_said_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "odd.yaml").write_text("conf: {schema_file_extension: yaml, kafka: {conf: {compression.codec: lz4}}}")

    assert import_eventgate.run(tmp_path / "odd.yaml", None) == 1
    said = capsys.readouterr().err
    assert "schemas.file_extension: found text 'yaml'" in said
    assert "odd.yaml:1: conf.kafka.conf.bootstrap.servers: no broker is named" in said


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("service_name: mine")

    with pytest.raises(UsageError, match="is there already"):
        import_eventgate.run(tmp_path / "mine.yaml", tmp_path / "mine.yaml")


TLS = {
    "metadata.broker.list": "127.0.0.1:9093",
    "security.protocol": "ssl",
    "ssl.ca.location": "/etc/ssl/certs/of-another-machine.crt",
    "ssl.key.location": "key.pem",
    "ssl.cipher.suites": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ssl.curves.list": "P-256",
    "ssl.sigalgs.list": "ECDSA+SHA256",
}


@pytest.mark.parametrize("shape", ["bare", "conf", "runner", "chart"])
def test_tls_files_of_another_machine_are_kept_and_said(
    shape: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As each of the four services of Wikimedia has them."""
    output, said = imported(tmp_path, shaped({"port": 8192, "kafka": {"conf": TLS}}, shape), capsys)
    kafka = yaml.safe_load(output.read_text())["sink"]["kafka"]

    assert kafka == {("bootstrap.servers" if name[0] == "m" else name): value for name, value in TLS.items()}
    (placed,) = [note for note in said if "ssl.ca.location: " in note]
    assert "of-another-machine.crt is not on this machine: put it on the machine where the service runs" in placed
    assert any("ssl.key.location: key.pem is relative to the settings file" in note for note in said)


@pytest.mark.parametrize(
    "more",
    [
        {"security.protocol": "sasl_ssl", "sasl.mechanisms": "GSSAPI"},
        {"security.protocol": "sasl_ssl", "sasl.mechanisms": "OAUTHBEARER"},
        {"security.protocol": "sasl_ssl", "sasl.mechanisms": "PLAIN", "sasl.username": "me"},
    ],
)
def test_what_secures_the_connection_is_never_dropped(
    more: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without it the result would connect in the clear. A password that is missing has to be added."""
    (tmp_path / "one.yaml").write_text(yaml.safe_dump({"kafka": {"conf": {**TLS, **more}}}))

    assert import_eventgate.run(tmp_path / "one.yaml", None) == 1
    captured = capsys.readouterr()
    kafka = yaml.safe_load(captured.out)["sink"]["kafka"]
    assert {name: kafka[name] for name in more} == more
    assert "kafka.conf.sasl." in captured.err


@pytest.mark.parametrize(
    ("given", "path", "value"),
    [
        ({"schema_base_uris": "./jsonschema"}, "schemas.base_uris", ["./jsonschema"]),
        ({"schema_base_uris": "file:///srv/a%20b/"}, "schemas.base_uris", ["/srv/a b/"]),
        (
            {"schema_base_uris": ["file://localhost/srv", "https://a.example/"]},
            "schemas.base_uris",
            ["/srv", "https://a.example/"],
        ),
        ({"stream_config_uri": "./streams.yaml"}, "streams.sources", ["./streams.yaml"]),
        (
            {"cors": ["https://a.example", "https://b.example"]},
            "http.cors.origins",
            ["https://a.example", "https://b.example"],
        ),
        ({"cors": False}, "http.cors.origins", []),
        ({"port": 8192, "interface": "::"}, "http.listen", ["[::]:8192"]),
        ({"test_events": {"a": 1}}, "intake.test_events", [{"a": 1}]),
        ({"test_events": [{"a": 1}]}, "intake.test_events", [{"a": 1}]),
    ],
)
def test_each_form_of_a_value_is_read(
    given: dict[str, Any], path: str, value: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.yaml").write_text(yaml.safe_dump({"port": 1, **given}))
    import_eventgate.run(tmp_path / "one.yaml", None)
    found = yaml.safe_load(capsys.readouterr().out)
    for name in path.split("."):
        found = found[name]

    assert found == value


@pytest.mark.parametrize(
    ("workers", "level", "made"),
    [
        ("ncpu", "warn", ("auto", "warning")),
        ("4", 30, (4, "info")),
        (0, "fatal", (1, "error")),
        (2, 60, (2, "error")),
    ],
)
def test_values_of_the_runner_are_read_in_each_form(
    workers: Any, level: Any, made: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = {"num_workers": workers, "logging": {"level": level}, "services": [{"name": "a", "conf": {"port": 1}}]}
    output, _ = imported(tmp_path, runner, capsys)
    config = load(output, [], {}).config

    assert (config.workers, config.log.level) == made


@pytest.mark.parametrize(
    "given",
    [
        {"num_workers": "many"},
        {"logging": {"level": "loud"}},
        {"conf": {"schema_base_uris": {"a": 1}}},
        {"conf": {"schema_base_uris": "file://host/srv"}},
        {"conf": {"kafka": {"conf": ["a"]}}},
    ],
)
def test_a_value_that_is_not_understood_is_said_with_its_line(
    given: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    conf = given.pop("conf", {"port": 1})
    _, said = imported(tmp_path, {**given, "services": [{"name": "a", "conf": conf}]}, capsys)

    assert any("was not imported" in note for note in said)


def test_what_a_chart_would_have_added_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Limits, prefix and error stream stand in the file that a chart renders, and not in its values."""
    added = (
        "sink.topic_prefix: ",
        "http.limits.max_body_bytes: ",
        "http.limits.max_event_bytes: ",
        "intake.error_stream: ",
    )
    values: dict[str, Any] = {"main_app": {"name": "eventgate-main", "conf": {"kafka": {"conf": TLS}}}}
    said = imported_text(tmp_path, values, capsys)
    assert all(f"\n{name}" in said for name in added)
    assert "102400" in said and "eqiad." in said

    whole = {
        "topic_prefix": "",
        "max_body_size": "10mb",
        "error_stream": "e",
        "kafka": {"conf": {**TLS, "message.max.bytes": 4194304}},
    }
    assert not any(f"\n{name}" in imported_text(tmp_path, whole, capsys) for name in added)


def test_merge_keys_and_anchors_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service = "{name: a, conf: {port: 1, kafka: {conf: {<<: *kafka}}}}"
    (tmp_path / "one.yaml").write_text(f"x-kafka: &kafka {{metadata.broker.list: 'a:1'}}\nservices: [{service}]")

    assert import_eventgate.run(tmp_path / "one.yaml", None) == 0
    assert yaml.safe_load(capsys.readouterr().out)["sink"]["kafka"]["bootstrap.servers"] == "a:1"
