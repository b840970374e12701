"""Settings that turn out to be wrong while they are used are told with their file, line and key."""

from __future__ import annotations

import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from processors.page_change import command
from processors.page_change.embedded.store import NAME
from processors.page_change.oracle.kafka import Topics
from processors.page_change.oracle.run import prepared, run_once
from processors.wrong import WrongSettingError, located
from server.__main__ import main
from server.errors import EXIT_USAGE, PenstockError, SettingsError
from tests.harness.broker import dead_servers
from tests.processors.page_change.test_made_again import created


@pytest.fixture(autouse=True)
def keep_signals() -> Iterator[None]:
    """The command takes signals of its process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def refused(tmp_path: Path, lines: dict[str, Any], into_kafka: str = "") -> str:
    """What is said of settings, one line each from the third line on."""
    config = prepared(tmp_path, {"eqiad": []})
    if into_kafka:
        intake = orjson.loads((tmp_path / "intake.yaml").read_bytes())
        intake["sink"] = {"kind": "kafka", "kafka": {"bootstrap.servers": into_kafka}}
        (tmp_path / "intake.yaml").write_bytes(orjson.dumps(intake))
    given = {"intake": "intake.yaml", "path": "out"} | lines
    config.write_text("".join(f"{name}: {orjson.dumps(value).decode()}\n" for name, value in given.items()))
    assert yaml.safe_load(config.read_text()) == given
    with pytest.raises(SettingsError) as error:
        command.run(config, "embedded", once=True)
    return str(error.value).replace(f"{config}:", "")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ({"output": "nix"}, "3: output: stream 'nix' is not declared by "),
        ({"late": "mediawiki.page-move"}, "3: late: stream 'mediawiki.page-move' has schema 'mediawiki/page/move'; "),
        ({"inputs": {"nix": "move"}}, "3: inputs.nix: stream 'nix' is not declared by "),
        ({"inputs": {}}, "3: inputs: "),
        ({"intake": "nix.yaml"}, "1: intake: {tmp_path}/nix.yaml: No such file or directory."),
        ({"path": "/proc/x"}, "2: path: /proc/x: No such file or directory."),
        ({"path": "intake.yaml"}, "2: path: {tmp_path}/intake.yaml: File exists."),
        (
            {"kafka": {"nix.nix": 3}},
            '3: kafka: no consumer can be made: No such configuration property: "nix.nix".',
        ),
        (
            {"kafka": {"session.timeout.ms": "abc"}},
            '3: kafka: no consumer can be made: Invalid value for configuration property "session.timeout.ms".',
        ),
    ],
)
@pytest.mark.parametrize("into_kafka", ["", "127.0.0.1:1"])
def test_a_setting_that_cannot_be_used_is_told_with_its_place(
    tmp_path: Path, lines: dict[str, Any], said: str, into_kafka: str
) -> None:
    assert refused(tmp_path, lines, into_kafka).startswith(said.replace("{tmp_path}", str(tmp_path)))


def test_an_address_of_metrics_is_told_with_its_place(tmp_path: Path) -> None:
    assert refused(tmp_path, {"metrics_listen": "nix"}).startswith("3: metrics_listen: 'nix' cannot be listened on: ")


def test_a_directory_in_the_place_of_the_state_is_told(tmp_path: Path) -> None:
    (tmp_path / "out" / NAME).mkdir(parents=True)

    assert refused(tmp_path, {}) == f"2: path: {tmp_path}/out/{NAME}: unable to open database file."


def test_a_setting_of_no_file_is_told_with_its_key() -> None:
    with pytest.raises(SettingsError, match=r"^path: no$"), located(None):
        raise WrongSettingError("path", "no")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--oracle --jar x.jar", "--jar has no effect here: it needs --runner flink with --example or --oracle"),
        ("-c x.yaml --runner flink --jar x.jar", "--jar has no effect here: it needs --runner flink with --example"),
        ("-c x.yaml --kafka 127.0.0.1:1", "--kafka has no effect here: it needs --example or --oracle"),
        ("--example --once", "--once has no effect here: it needs a run with --config"),
        ("-c x.yaml --forget-wiki w --once", "--once has no effect here: it needs a run with --config"),
        ("-c x.yaml --seed 0", "--seed has no effect here: it needs --oracle"),
        ("--example --pages 3", "--pages has no effect here: it needs --oracle"),
        ("--oracle --forget-wiki w", "--forget-wiki has no effect here: it needs --config, which names the state"),
    ],
)
def test_an_option_without_effect_is_refused(options: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["process", "page-change", *options.split()])

    assert code == EXIT_USAGE
    assert capsys.readouterr().err.startswith(f"penstock: {said}")


def test_a_state_of_another_layout_is_refused(tmp_path: Path) -> None:
    run_once(prepared(tmp_path, {"eqiad": []}))
    with closing(sqlite3.connect(tmp_path / "out" / NAME)) as database:
        database.execute("PRAGMA user_version = 99")
    (tmp_path / "again").mkdir()
    said = refused(tmp_path / "again", {"path": "../out"})

    assert re.fullmatch(rf"2: path: .*/{NAME} has layout 99, this program writes \d+\.", said)


@pytest.mark.parametrize(("name", "is_told"), [("events-0.db", False), ("events-7.db", True)])
def test_a_state_of_other_inputs_is_told(
    tmp_path: Path, name: str, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    config = prepared(tmp_path, {"eqiad": created(1)})
    run_once(config)
    (tmp_path / "sink" / "events-0.db").rename(tmp_path / "sink" / name)
    run_once(config)
    told = [one for one in caplog.messages if one.startswith("the state")]
    said = "is of other inputs, such as events-0.db: what is older than it in events-7.db is late"

    assert told == [f"the state {tmp_path}/out/{NAME} {said}"] * is_told


def test_brokers_of_the_oracle_that_do_not_answer_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.page_change.oracle.kafka.WAIT_S", 0.1)
    with dead_servers() as servers, pytest.raises(PenstockError, match=f"{servers} cannot be used: no broker answers"):
        Topics(servers)
