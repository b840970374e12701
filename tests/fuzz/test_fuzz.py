"""No bytes make the whole of it raise, hang or grow; and the run that says so finds a target that does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from server.timing.turns import Job, Turns
from tests.fuzz import havoc
from tests.fuzz.__main__ import Run, main
from tests.fuzz.doors import DoorsTarget
from tests.fuzz.target import Target
from tests.fuzz.wire import WireTarget
from tests.validators.judges import Judges


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    return Target(tmp_path_factory.mktemp("fuzz"))


def test_whatever_the_bytes_are_there_is_an_answer(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(havoc, "MAX_CPU_S", 60)  # What hangs meets the bound on tests; the long run measures.
    after, failures = havoc.run(target, 0, lambda number: number >= 15_000)

    assert failures == [], "\n".join(map(str, failures))
    assert after == 15_000


def test_whatever_a_connection_sends_comes_to_the_same_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(havoc, "MAX_CPU_S", 60)
    _, failures = havoc.run(WireTarget(), 0, lambda number: number >= 1_000)

    assert failures == [], "\n".join(map(str, failures))


def test_every_door_has_one_answer_whatever_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(havoc, "MAX_CPU_S", 60)
    doors = DoorsTarget(tmp_path)
    _, failures = havoc.run(doors, 0, lambda number: number >= 3_000)

    assert failures == [], "\n".join(map(str, failures))
    assert doors.valid > 80, "many are sent"
    assert doors.alike > 30, "many are compared with the only event of an array"


@pytest.mark.interpreted(reason="a method of a compiled class is replaced, to count its calls")
def test_most_is_sent_that_doors_begin_with_and_some_of_it_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors, cut, take = DoorsTarget(tmp_path), [], Turns.take

    def counted(turns: Turns, client: str, job: Job) -> None:
        cut.append(job)
        take(turns, client, job)

    monkeypatch.setattr(Turns, "take", counted)
    for raw in doors.seeds:
        doors.run(raw)

    assert doors.valid > len(doors.seeds) / 2
    assert len(cut) >= 8


@pytest.mark.interpreted(reason="parts of compiled objects are replaced")
def test_the_seeds_go_all_the_way(target: Target) -> None:
    accepted = []
    for pipeline in target._pipelines:
        original = pipeline.prepare

        def prepare(index, raw, arrival, original=original):  # type: ignore[no-untyped-def]
            event = original(index, raw, arrival)
            accepted.append(event.verdict is None)
            return event

        pipeline.prepare = prepare  # type: ignore[method-assign]
    try:
        for raw in target.seeds:
            target.run(raw)
    finally:
        for pipeline in target._pipelines:
            del pipeline.prepare

    assert sum(accepted) > 20


class Bad(Target):
    """Fails where a brace follows a brace, and takes long where a bracket does."""

    def __init__(self, seeds: list[bytes]) -> None:
        self.seeds = seeds

    def run(self, raw: bytes) -> None:
        if b"{{" in raw:
            raise KeyError("{")
        while b"[[" in raw:
            raw += b""


def test_what_raises_is_found_and_seen_again_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(havoc, "MAX_CPU_S", 0.02)
    bad = Bad([b'{"a":{"b":1}}', b"[1,[2]]"])
    _, failures = havoc.run(bad, 0, lambda number: number >= 400)

    found = [failure for failure in failures if not failure.what.startswith("took ")]  # The collector's turn, perhaps.
    assert {failure.what.partition(":")[0] for failure in found} == {"KeyError", "HungError"}
    assert all(havoc.made(failure.number, bad.seeds) == failure.raw for failure in failures)


def test_the_long_run_says_what_it_did_and_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    is_clean = Run(seconds=2, cases=300, seed=5, parts=["bytes", "hypothesis", "generated"]).run()
    said = capsys.readouterr().out

    assert is_clean, said
    assert "bytes: inputs 5000 to " in said
    assert "0 disagreements, 0 failures over bytes. Go on with: --seed " in said


def test_the_long_run_fails_when_a_judge_errs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Judges, "_refers", lambda _self, _value: True)
    is_clean = Run(seconds=60, cases=300, seed=5, parts=["generated"]).run()

    assert not is_clean
    assert "x check says False, the reference True" in capsys.readouterr().out


def test_a_part_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["fuzz", "--only=bytes,x"])
    with pytest.raises(SystemExit):
        main()

    assert "--only: there is no part x; there are corpus, " in capsys.readouterr().err
