"""The benches that a visitor runs: what they leave behind, and what is derived from their figures."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from bench import quick, sizing, validators
from bench.load import there
from tests.harness.running import ROOT


def test_the_targets_of_make_keep_no_figures_unless_they_are_asked_to() -> None:
    lines = (ROOT / "Makefile").read_text().splitlines()

    for target in ("bench-quick", "bench-validators", "attack"):
        at = next(number for number, line in enumerate(lines) if line.startswith(f"{target}:"))
        assert "--keep" not in lines[at + 1] and "$(ARGS)" in lines[at + 1]


@pytest.mark.slow(reason="two services are started and loaded")
def test_quick_leads_to_the_constants_of_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "validators.json").write_bytes((sizing.RESULTS / "validators.json").read_bytes())
    monkeypatch.setattr(quick, "RESULTS", tmp_path / "quick.json")
    monkeypatch.setattr(sizing, "RESULTS", tmp_path)
    monkeypatch.setattr(sizing, "CONSTANTS", tmp_path / "constants.json")

    assert quick.run(["--peers", "intake", "--rounds", "1", "--seconds", "0.2"]) == 0
    assert not (tmp_path / "quick.json").exists()
    assert quick.run(["--peers", "intake", "--rounds", "1", "--seconds", "0.2", "--keep"]) == 0

    constants = json.loads((tmp_path / "constants.json").read_text())
    assert (
        constants.keys()
        == json.loads(
            Path(sizing.__file__).parents[1].joinpath("server/commands/size_constants.json").read_text()
        ).keys()
    )
    assert constants["worker_mb"]["value"] > 0


def test_validators_take_the_examples_where_there_is_no_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(validators, "CORPUS", tmp_path / "corpus")
    monkeypatch.setattr(validators, "ROUNDS", 1)
    monkeypatch.setattr(validators, "CALLS", 1)
    monkeypatch.setattr("os.sched_setaffinity", lambda *_: None)

    assert validators.run([]) == 0
    assert validators.run(["--keep"]) == 2
    assert "/web/page_view/" in capsys.readouterr().out


def test_a_load_without_an_intake_says_what_to_start() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # It does not listen.
        found = there.reason(f"http://127.0.0.1:{unused.getsockname()[1]}")

    assert found is not None and "make run" in found
