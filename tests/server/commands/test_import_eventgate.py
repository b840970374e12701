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
