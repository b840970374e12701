"""Settings that turn out to be wrong while they are used are told with their file, line and key."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from processors.page_change import command
from processors.page_change.embedded.store import NAME
from processors.page_change.oracle.kafka import Topics
from processors.page_change.oracle.run import prepared
from processors.wrong import WrongSettingError, located
from server.errors import PenstockError, SettingsError
from tests.harness.broker import dead_servers


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


def test_brokers_of_the_oracle_that_do_not_answer_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.page_change.oracle.kafka.WAIT_S", 0.1)
    with dead_servers() as servers, pytest.raises(PenstockError, match=f"{servers} cannot be used: no broker answers"):
        Topics(servers)
