"""A trial of the Flink runner: histories with kills in the middle, judged by the oracle and compared with the embedded
runner.

Also a command: ``python -m tests.processors.page_change.flink_trial --seeds 1-20 --pages 2000`` prints one JSON line
for each seed, and needs FLINK_PYTHON. Each history is a wiki of its own, and several share a job: Java starts slowly.
Place: a broker, a Flink cluster, topics → HERE → test_flink.
Not here: the processes (flink_cluster), the histories and the verdict (processors.page_change.oracle).
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from confluent_kafka import Consumer, TopicPartition
from msgspec import Struct

from processors.page_change.oracle.checker import Report
from processors.page_change.oracle.inputs import CENTRES, Arrival, Inputs
from processors.page_change.oracle.kafka import Topics
from processors.page_change.oracle.run import consolidated, history_of, verdict_on
from processors.page_change.records import Output
from tests.harness.broker import Kafka
from tests.harness.running import ROOT
from tests.processors.page_change.events import NAMES
from tests.processors.page_change.flink_cluster import WAIT_S, FlinkCluster

DELIVERIES: Final = ("exactly-once", "at-least-once")
HOUR_MS: Final = 3_600_000
CHECKPOINT_S: Final = 5  # More often, and a busy machine does little else.
SOME: Final = 30  # Records of the output, after which it is being written.


class Trial(Struct):
    """What came of the history of one wiki. ``repeated`` are records that came again with the same bytes; ``report``
    judges the output without them, or with them where each must come once. ``pages`` had no late events, and were
    compared with the embedded runner; ``unlike`` are those whose bytes differ."""

    seed: int
    delivery: str
    events: int
    records: int
    repeated: int
    pages: int
    unlike: int
    report: Report

    @property
    def is_good(self) -> bool:
        """Whether no promise was broken."""
        return self.report.is_good and not self.unlike


def tried(
    directory: Path, broker: Kafka, cluster: FlinkCluster, delivery: str, seeds: Sequence[int], pages: int
) -> list[Trial]:
    """Run one job on the histories of several wikis: stop it with a savepoint, then kill a task manager, the broker,
    and at last the job manager with all task managers, each while events are on their way."""
    inputs, least = {}, 0
    for seed in seeds:
        wiki, inputs[seed] = history_of(seed, pages, _wiki(seed))
        least += sum(len(found) for page, found in wiki.truth.items() if page not in inputs[seed].late_pages)
        del wiki  # Those of many seeds would take some gigabytes.
    centres = _merged(list(inputs.values()))
    topics = Topics(broker.servers)
    config = topics.settings(
        directory,
        flink={
            "checkpoint_s": CHECKPOINT_S,
            "checkpoint_path": (directory / "checkpoints").as_uri(),
            "delivery": delivery,
            "idleness_s": 3_600,
        },
    )
    sending = _Sending(topics, centres)
    sending.up_to(0.3)
    job = cluster.submit(config)
    cluster.until(lambda: _written(topics) > SOME)
    _say("written")

    job = cluster.submit(config, cluster.stop(job))
    written = _written(topics)
    sending.up_to(0.5)
    cluster.kill_manager_of(job)
    cluster.start_manager()
    cluster.until_running(job, restarts=1)
    cluster.until(lambda: _written(topics) > written + SOME)
    _say("a task manager was killed")

    written = _written(topics)
    sending.up_to(0.65)
    broker.kill()
    broker.start(WAIT_S)
    sending.up_to(0.75)
    cluster.until(lambda: _written(topics) > written + SOME)
    _say("the broker was killed")

    cluster.until_next_checkpoint(job)
    sending.up_to(0.85)
    cluster.kill()
    cluster.start()
    job = cluster.submit(config, _last_checkpoint(directory / "checkpoints" / job))
    _say("everything was killed")
    sending.up_to(1)
    topics.produce_canaries(max(one.at for records in centres.values() for one in records) + HOUR_MS)
    outputs: list[Output] = []
    before = -1

    def is_whole() -> bool:
        nonlocal before
        cluster.until_next_checkpoint(job)
        cluster.until_next_checkpoint(job)  # Whatever was written before the first is committed.
        last, before = before, _written(topics)
        if before != last or before < least:
            return False  # It is being written: reading all of it takes CPU, which the job needs.
        outputs[:] = topics.outputs()
        return not any(_verdict(seed, pages, inputs[seed], _once(_of_wiki(seed, outputs))).lost for seed in seeds)

    cluster.until(is_whole)
    cluster.cancel(job)
    topics.delete()
    return [_judged(directory, seed, pages, delivery, inputs[seed], _of_wiki(seed, outputs)) for seed in seeds]


def _judged(directory: Path, seed: int, pages: int, delivery: str, inputs: Inputs, own: Sequence[Output]) -> Trial:
    """Judge the records of one wiki, and compare them with those of the embedded runner."""
    once = _once(own)
    kept = once if delivery == "at-least-once" else own
    report = _verdict(seed, pages, inputs, kept)
    with tempfile.TemporaryDirectory(dir=directory) as embedded:
        first = _by_page(consolidated(Path(embedded), inputs.centres), inputs.late_pages)
    second = _by_page(kept, inputs.late_pages)
    unlike = sum(first.get(page) != second.get(page) for page in first.keys() | second.keys())
    return Trial(seed, delivery, inputs.count, len(own), len(own) - len(once), len(first), unlike, report)


def _verdict(seed: int, pages: int, inputs: Inputs, outputs: Sequence[Output]) -> Report:
    report = verdict_on(history_of(seed, pages, _wiki(seed))[0], inputs, outputs)
    _say(f"seed {seed}: {report}")
    return report


def _of_wiki(seed: int, outputs: Sequence[Output]) -> list[Output]:
    name = _wiki(seed).encode()
    return [one for one in outputs if one.key is None or name in one.key]


def _once(outputs: Sequence[Output]) -> list[Output]:
    """The outputs without repeated ones."""
    return list({one.value: one for one in reversed(outputs)}.values())[::-1]


def _wiki(seed: int) -> str:
    return f"wiki-{seed}-"


def _merged(inputs: Sequence[Inputs]) -> dict[str, list[Arrival]]:
    """The records of several wikis as those of one input, in the order of the newest time before each: the bounds of
    each of them hold for all together."""
    found = {}
    for centre in inputs[0].centres:
        paired = []
        for number, one in enumerate(inputs):
            newest = itertools.accumulate((arrival.at for arrival in one.centres[centre]), max)
            paired += [(at, number, place) for place, at in enumerate(newest)]
        found[centre] = [inputs[number].centres[centre][place] for _, number, place in sorted(paired)]
    return found


class _Sending:
    """Sends the records of the data centres in parts, each with canaries, which move the watermark to the newest time
    that every data centre has reached. All records of the idle one are in the first part."""

    def __init__(self, topics: Topics, centres: Mapping[str, list[Arrival]]) -> None:
        self._topics = topics
        self._busy = {centre: records for centre, records in centres.items() if centre != CENTRES[-1]}
        self._sent = dict.fromkeys(self._busy, 0)
        topics.produce({CENTRES[-1]: centres[CENTRES[-1]]})

    def up_to(self, share: float) -> None:
        """Send the next records, up to this share of all of them."""
        ends = {centre: int(len(records) * share) for centre, records in self._busy.items()}
        self._topics.produce({centre: self._busy[centre][self._sent[centre] : end] for centre, end in ends.items()})
        self._topics.produce_canaries(
            min(max(one.at for one in self._busy[centre][:end]) for centre, end in ends.items())
        )
        self._sent = ends


def _written(topics: Topics) -> int:
    """The end of the output, which counts the marks of transactions too."""
    consumer = Consumer({"bootstrap.servers": topics.servers, "group.id": "trial", "isolation.level": "read_committed"})
    end = consumer.get_watermark_offsets(TopicPartition(topics.written[NAMES.output], 0), timeout=WAIT_S)
    consumer.close()
    assert end is not None
    return int(end[1])


def _last_checkpoint(directory: Path) -> str:
    """The newest whole checkpoint of a job."""
    whole = [path.parent for path in directory.glob("chk-*/_metadata")]
    return max(whole, key=lambda path: int(path.name.removeprefix("chk-"))).as_uri()


def _by_page(outputs: Sequence[Output], late_pages: set[int]) -> dict[tuple[str, bytes | None], list[Output]]:
    found = defaultdict(list)
    for one in outputs:
        if one.key is None or int(one.key.rpartition(b":")[2][:-1]) not in late_pages:
            found[one.stream, one.key].append(one)
    return dict(found)


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def main() -> int:
    """Try seeds, so many in each job, with either delivery in turns. Returns 1 if a promise was broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="1-20")
    parser.add_argument("--pages", type=int, default=2_000)
    parser.add_argument("--together", type=int, default=10)
    options = parser.parse_args()
    least, _, most = options.seeds.partition("-")
    seeds = range(int(least), int(most or least) + 1)
    fetch = [str(ROOT / "deploy" / "flink" / "fetch")]
    jars = subprocess.run(fetch, capture_output=True, text=True, check=True).stdout.split()
    is_good = True
    with tempfile.TemporaryDirectory(prefix="penstock-flink-trial-") as name:
        broker = Kafka(_made(Path(name) / "kafka"))
        broker.start(WAIT_S)
        try:
            with FlinkCluster(_made(Path(name) / "flink"), os.environ["FLINK_PYTHON"], jars) as cluster:
                for number in range(0, len(seeds), options.together):
                    directory = _made(Path(name) / str(number))
                    delivery = DELIVERIES[number // options.together % 2]
                    some = seeds[number : number + options.together]
                    for trial in tried(directory, broker, cluster, delivery, some, options.pages):
                        is_good &= trial.is_good
                        print(msgspec.json.encode(trial).decode(), flush=True)
        finally:
            broker.stop()
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
