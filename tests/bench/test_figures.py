"""What the benches say follows from what they measured."""

from __future__ import annotations

import gzip
import json
import random
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from bench import budget, compare, generator, marks, render, rounds
from bench.measure import Usage
from bench.peers import start
from bench.works import WORKS


def noisy(rng: random.Random, ratio: float) -> list[float]:
    return [ratio * rng.uniform(0.98, 1.02) for _ in range(6)]


@pytest.mark.parametrize(("ratio", "word"), [(0.9, "faster"), (1.1, "slower")])
def test_a_difference_beyond_the_noise_is_told(ratio: float, word: str) -> None:
    told = compare.difference(noisy(random.Random(1), ratio))

    assert word in told.verdict
    assert told.low < ratio < told.high


def test_noise_is_no_difference() -> None:
    claimed = [compare.difference(noisy(random.Random(seed), 1.0)).verdict for seed in range(100)]

    assert sum("no difference" in verdict for verdict in claimed) >= 90


def a_round(cpu_us: float, lost: int = 0) -> rounds.Round:
    return rounds.Round(1000, 1.0, Usage(cpu_us * 500e-6, cpu_us * 300e-6, cpu_us * 200e-6), lost, 0)


def test_a_summary_is_the_median_and_losses_add_up() -> None:
    told = rounds.summary([a_round(10.0, 1), a_round(30.0, 2), a_round(11.0)])

    assert told["cpu_us_per_event"] == pytest.approx(11.0)
    assert told["lost"] == 3
    assert told["parts_us"]["user"] + told["parts_us"]["system"] + told["parts_us"]["producer"] == pytest.approx(17.0)


@pytest.mark.parametrize("name", WORKS)
def test_requests_hold_the_events_that_are_counted(name: str) -> None:
    work = WORKS[name]
    body = work.body(3)
    if work.form == "gzip":
        body = gzip.decompress(body)
    parsed = [json.loads(line) for line in body.splitlines()] if work.form == "ndjson" else json.loads(body)
    events = parsed if isinstance(parsed, list) else [parsed]

    assert len(events) == work.batch
    good = set(work.workload.events)
    texts = [json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() for event in events]
    assert sum(text in good for text in texts) == work.accepted
    assert not any("id" in event["meta"] or "dt" in event["meta"] for event in events)


SERVED = "run (/x/server/worker/process.py:220)"


@pytest.mark.parametrize(
    ("stack", "step"),
    [
        (["Pipeline._prepare (/x/server/intake/pipeline.py:9)", "run (<validator>:1)", "f (/x.so)"], budget.CHECK),
        (
            ["KafkaSink.submit (/x/server/sink/kafka/producer.py:88)", "rd_kafka_produce (/x/librdkafka.so)"],
            budget.SUBMIT,
        ),
        (["KafkaSink._serve (/x/server/sink/kafka/producer.py:204)"], budget.ACK),
        (["Outgoing.flush (/x/server/http/outgoing.py:39)", "write (/usr/lib/libc.so.6)"], budget.KERNEL),
        ([SERVED, "UVStream__start_reading (/project/uvloop/loop.c:1)"], budget.LOOP),
    ],
)
def test_a_sample_belongs_to_the_step_of_its_innermost_known_frame(stack: list[str], step: str) -> None:
    assert budget.step_of([SERVED, *stack]) == step


def test_what_no_rule_knows_is_not_named() -> None:
    parts, samples = budget.shares("a (b.so);c (d.so) 1\nKafkaSink._serve (/x/server/sink/kafka/producer.py:204) 3\n")

    assert samples == 4
    assert parts == {budget.UNKNOWN: 0.25, budget.ACK: 0.75}


def costs_of(**cpu_us: float) -> dict[str, Any]:
    cell = {"work": "single-hasty", "batch": 1, "lost": 0, "refused": 0, "peak_mb": 50.0, "events_per_s": 1}
    machine = {"cpu": "a <fast> one", "cores": 2, "kernel": "6", "python": "3", "commit": "abc", "time": "2026-01-02"}
    return {
        "environment": machine,
        "missing": {"go": "no go"},
        "floors": {"loads_us": 2.0},
        "results": [{"peer": peer, "cpu_us_per_event": value} | cell for peer, value in cpu_us.items()],
        "idle_mb": {"intake-x": [{"rss": 70.0}, {"rss": 50.0}]},
    }


def test_a_mark_is_met_missed_or_not_measured(tmp_path: Path) -> None:
    (tmp_path / "costs.json").write_text(json.dumps(costs_of(intake=10.0, naive=25.0, bare=4.0)))

    verdicts = {mark.what: verdict for mark, _, verdict in marks.judged(marks.Figures(tmp_path))}

    assert verdicts["single-hasty over naive"] == "met"
    assert verdicts["single-hasty over bare"] == "MISSED"
    assert verdicts["single-hasty over rust"] == "not measured"
    assert verdicts["a worker, idle"] == "met"
    assert marks.run(["--results", str(tmp_path)]) == 1


def test_pictures_are_xml_and_the_same_each_time(tmp_path: Path) -> None:
    (tmp_path / "costs.json").write_text(json.dumps(costs_of(intake=10.0, rust=15.0)))

    assert render.run(["--results", str(tmp_path)]) == 0
    drawn = {file.name: file.read_bytes() for file in tmp_path.glob("*.svg")}
    assert set(drawn) == {"costs-single-light.svg", "costs-single-dark.svg"}
    assert all(ET.fromstring(text).tag.endswith("svg") for text in drawn.values())
    for text in drawn.values():
        for one in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text"):
            # The widest common fonts take two thirds of their size for a character.
            reach = len(one.text or "") * float(one.get("font-size", "14")) * 0.66
            assert one.get("text-anchor") != "end" or float(one.get("x", "0")) >= reach
    assert "SKIPPED go: no go" in (tmp_path / "RESULTS.md").read_text()
    assert render.run(["--results", str(tmp_path)]) == 0
    assert drawn == {file.name: file.read_bytes() for file in tmp_path.glob("*.svg")}


def test_the_readme_gets_its_picture_and_keeps_the_rest() -> None:
    text = render.README.read_text(encoding="utf-8")
    drawn = render.readme(text)

    assert drawn.count("bench/results/costs-single-light.svg") == 1
    assert drawn.startswith("# Penstock") and drawn.endswith(text.partition("<!-- /figures -->")[2])
    assert render.readme(drawn) == drawn


def test_what_the_generator_says_is_read() -> None:
    said = {
        "summary": {"requestsPerSec": 99.5, "slowest": 0.25},
        "latencyPercentiles": {"p50": 0.001, "p99": 0.01, "p99.9": 0.02},
        "statusCodeDistribution": {"201": 90, "503": 10},
        "errorDistribution": {"connection closed": 1, "aborted due to deadline": 5},
    }

    assert generator.times(said) == generator.Times(90, 11, 99.5, 1.0, 10.0, 20.0, 250.0)


def test_a_peer_without_its_tools_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "tool_path", lambda name: None)

    assert start.missing("go") == "no go"
    assert start.missing("naive") == ""
