"""``penstock import-eventgate`` writes nothing that ``penstock check`` refuses without saying so."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from server.commands import check, import_eventgate
from server.config.load import load
from tests.server.commands.test_import_eventgate import imported


@pytest.mark.parametrize(
    "name", ["topic.message.timeout.ms", "topic.delivery.timeout.ms", "message.timeout.ms", "delivery.timeout.ms"]
)
@pytest.mark.parametrize("part", ["conf", "topic_conf"])
def test_a_property_that_is_refused_is_left_out_under_every_name(
    part: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kafka = {"guaranteed": {part: {name: 300000}}, "conf": {"metadata.broker.list": "a:1"}}
    output, said = imported(tmp_path, {"port": 1, "kafka": kafka}, capsys)

    assert list(load(output, [], {}).config.sink.kafka) == ["bootstrap.servers"]
    assert any(f"eventgate.yaml:5: kafka.guaranteed.{part}.{name}: an event could be" in note for note in said), said


def test_the_more_specific_property_wins_under_every_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kafka = {
        "conf": {"metadata.broker.list": "a:1", "queue.buffering.max.ms": 1, "topic.request.timeout.ms": 1000},
        "topic_conf": {"request.timeout.ms": 2000},
        "guaranteed": {"conf": {"linger.ms": 7}},
    }
    output, _ = imported(tmp_path, {"port": 1, "kafka": kafka}, capsys)

    found = load(output, [], {}).config.sink.kafka
    assert found == {"bootstrap.servers": "a:1", "linger.ms": 7, "request.timeout.ms": 2000}


@pytest.mark.parametrize("off", ["null", "false", '""'])
def test_what_is_off_in_eventgate_is_off_here(off: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Null here would mean the default error stream; null and false are no topic prefix at all."""
    names = ("error_stream", "topic_prefix", "schema_uri_query_param", "stream_query_param")
    (tmp_path / "one.yaml").write_text("".join(f"{name}: {off}\n" for name in names))
    assert import_eventgate.run(tmp_path / "one.yaml", tmp_path / "made.yaml") == 0
    said = capsys.readouterr().err
    config = load(tmp_path / "made.yaml", ["service_name=a"], {}).config

    assert config.error_stream is None and config.sink.topic_prefix == ""
    assert config.intake.schema_uri_query_param is config.intake.stream_query_param is None
    if off != '""':
        assert 'one.yaml:1: error_stream: is off in EventGate: "" was written' in said
        assert 'one.yaml:2: topic_prefix: is off in EventGate: "" was written' in said


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("max_body_size: 100", "one.yaml:1: max_body_size: is 100 bytes: 1024 was written"),
        ("max_body_size: 0", "one.yaml:1: max_body_size: is 0 bytes: 1024 was written"),
        ("id_field: null", "one.yaml:1: id_field: is null and was not imported"),
        ("num_workers: null", "one.yaml:1: num_workers: "),
    ],
)
def test_a_value_that_was_changed_is_said(
    given: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.yaml").write_text(given)

    assert import_eventgate.run(tmp_path / "one.yaml", None) == 0
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("cors: a.example", "http.cors.origins[0]: 'a.example' is not an origin"),
        ("cors: [https://A.example/]", "http.cors.origins[0]: "),
        ("port: many", "http.listen[0]"),
        ("id_field: false", "intake.id_field: found boolean False"),
        ("stream_field: a..b", "intake.stream_field: 'a..b' is not a path in an event"),
        ("error_stream: a b", "makes 'a b' the error stream"),
        ("topic_prefix: a b", "sink.topic_prefix: found text 'a b'"),
        ("max_body_size: 2000gb", "max_body_bytes"),
        ("schema_base_uris: ['http://']", "schemas.base_uris"),
        ("kafka: {conf: {linger.ms: 1}}", "kafka.conf.bootstrap.servers: no broker is named"),
        ("kafka: {conf: {metadata.broker.list: a, security.protocol: sasl_ssl}}", "sasl.mechanism"),
    ],
)
def test_nothing_that_check_refuses_is_written_in_silence(
    given: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.yaml").write_text(given)

    assert import_eventgate.run(tmp_path / "one.yaml", tmp_path / "made.yaml") == 1
    assert words in capsys.readouterr().err
    assert check.run(tmp_path / "made.yaml", [], environ={}, out=io.StringIO()) == 3


def test_a_size_that_is_none_is_said_beside_kafkas(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.yaml").write_text("max_body_size: big\nkafka: {conf: {metadata.broker.list: 'a:1'}}")

    assert import_eventgate.run(tmp_path / "one.yaml", None) == 0
    assert "one.yaml:1: max_body_size: could not be read as a size" in capsys.readouterr().err
