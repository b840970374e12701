"""The log: one line a record, whatever is in it; nobody forges a line, nobody's secret is in one."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from server.boot import announce
from server.boot.generation import read
from server.intake.books.counts import Counts
from server.intake.verdict import Verdict
from server.log import JsonFormatter, Level, Limited, TextFormatter
from server.worker.troubles import LINE_EVERY_S, Troubles

FORGED = 'x\n{"level":"error"}\r\x1b[31m\u2028\ud800'


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("test", logging.INFO, "", 0, message, args, None)
    vars(made).update(extra)
    return made


def test_a_json_line_is_one_line_with_everything() -> None:
    line = JsonFormatter().format(record("an %s of %d", "event", 3, request_id="r-1", kind="full"))

    said = json.loads(line)
    assert (said["message"], said["level"], said["logger"]) == ("an event of 3", "info", "test")
    assert (said["request_id"], said["kind"]) == ("r-1", "full")
    assert said["time"].endswith("Z")


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_no_text_of_a_client_makes_a_line_of_its_own(formatter: logging.Formatter) -> None:
    for made in (record("got %s", FORGED), record("got", stream=FORGED)):
        line = formatter.format(made)

        assert len(line.splitlines()) == 1 or json.loads(line)
        assert "\n" not in line and "\x1b" not in line


def test_a_text_line_says_what_is_beside_the_message() -> None:
    line = TextFormatter().format(
        record("12 events were not accepted", kind="unknown_stream", request_id="r-1", unsaid=0)
    )

    assert line.endswith("12 events were not accepted (kind=unknown_stream, request_id=r-1)")


def test_a_kind_of_trouble_is_one_line_and_names_its_request(caplog: pytest.LogCaptureFixture) -> None:
    limited = Limited(logging.getLogger("limited"))
    for number in range(5):
        limited.warning("full", "no room (%d)", number, request_id=f"r-{number}")
    limited.warning("disk", "no disk")

    assert [made.getMessage() for made in caplog.records] == ["no room (0)", "no disk"]
    assert vars(caplog.records[0])["request_id"] == "r-0"
    assert "request_id" not in vars(caplog.records[1])


def test_a_level_that_all_are_asked_for_ends_where_it_began() -> None:
    root, level = logging.getLogger(), Level()
    before = root.level
    for wanted in ("debug", "debug", "error"):
        level.look(wanted)
        assert root.level == logging.getLevelName(wanted.upper())
    level.look("")

    assert root.level == before


class Server:
    """What troubles look at of an HTTP server."""

    def __init__(self) -> None:
        self.refused = {"body": 0, "idle": 0}
        self.parse_errors = 0


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [made.getMessage() for made in caplog.records]
    caplog.clear()
    return lines


def test_what_clients_get_wrong_is_counted_and_said_once_in_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    counts, server = Counts(), Server()
    troubles = Troubles(server, counts, shows_text=False)  # type: ignore[arg-type]
    troubles.look(0.0)
    assert said(caplog) == []
    for number in range(3):
        counts.note(Verdict("unknown_stream", "stream 'secret' …"), "", f"r-{number}", is_observed=False)
    server.refused["body"] = 2
    server.refused["idle"] = 7
    troubles.look(1.0)
    example = vars(caplog.records[0])
    assert (example["request_id"], example["count"]) == ("r-0", 3)
    assert "text" not in example
    assert said(caplog) == [
        "3 events were not accepted: unknown_stream",
        "2 requests or connections exceeded the limit body",
    ]
    counts.note(Verdict("unknown_stream", "text"), "", "r-4", is_observed=False)
    troubles.look(1.0 + LINE_EVERY_S / 2)
    assert said(caplog) == []
    troubles.look(1.0 + LINE_EVERY_S)
    assert said(caplog) == ["1 events were not accepted: unknown_stream"]
    counts.note(Verdict("broker_timeout", "text"), "a.stream", "", is_observed=False)
    server.parse_errors = counts.refused_full = 1
    troubles.look(2.0 + LINE_EVERY_S, is_last=True)
    assert [made.levelname for made in caplog.records] == ["WARNING", "INFO", "WARNING"]


def test_what_clients_sent_is_said_only_where_it_is_switched_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    counts = Counts()
    counts.note(Verdict("schema_violation", "'.name' should be string"), "a.stream", "r-1", is_observed=False)
    Troubles(Server(), counts, shows_text=True).look(0.0)  # type: ignore[arg-type]

    assert vars(caplog.records[0])["text"] == "'.name' should be string"
    assert vars(caplog.records[0])["stream"] == "a.stream"


def test_the_start_says_in_eleven_lines_what_runs_and_no_secret(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("PENSTOCK_SINK__KAFKA__SASL_PASSWORD", "hush-env")
    (tmp_path / "penstock.yaml").write_text(
        "sink: {kafka: {bootstrap.servers: 'broker:9092', sasl.username: me, sasl.mechanism: PLAIN,"
        " security.protocol: SASL_SSL}}\nschemas: {base_uris: [.]}\n"
    )
    overrides = ["sink.kafka.ssl.key.password=hush-set", "workers=1"]
    generation = read(tmp_path / "penstock.yaml", overrides)
    caplog.clear()
    announce.announce(generation, tmp_path / "penstock.yaml", overrides)

    assert len(caplog.records) == 11
    assert "hush" not in caplog.text
    for expected in ("PENSTOCK_SINK__KAFKA__SASL_PASSWORD", "--set workers", "Kafka at broker:9092", "127.0.0.1:8193"):
        assert expected in caplog.text
