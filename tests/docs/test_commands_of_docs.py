"""Every command in the README and the docs is run by a test, or stands in a list with the reason why it is not.

Rules: pages whose blocks ``sh`` a test runs as they stand are in ``RUN_WHOLE``. For every other command the table says
which file of tests runs it; ``QUICK`` are run below, in order, in one directory.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.docs import shell
from tests.harness.running import ROOT

PAGES: Final = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "bench" / "README.md",
    ROOT / "deploy" / "helm" / "penstock" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
)
RUN_WHOLE: Final = {
    "TUTORIAL.md": "tests/docs/test_tutorial.py",
    "KAFKA.md": "tests/docs/test_kafka_page.py",
    "SENDING.md": "tests/docs/test_sending_page.py",
    "EVOLUTION.md": "tests/docs/test_guides.py",
    "DEVELOPMENT.md": "tests/docs/test_guides.py",
    "SCHEMAS.md": "tests/docs/test_schemas_page.py",
}
# Pages whose indented lines are no commands.
NO_COMMANDS: Final = {"DESIGN.md", "FILTERS.md"}
# Lines in settings of proxies, which a reader pastes into theirs.
OF_PROXIES: Final = re.compile(r"# |proxy_set_header|http-request ")

QUICK: Final = (
    "penstock init my-intake",
    "penstock check -c my-intake/intake.yaml",
    "penstock key website --file keys.yaml",
    "penstock size --events-per-s 24000 --bytes 500 --outage-min 30",
    "penstock size --events-per-s 3000 --bytes 800",
    "penstock import-eventgate config.yaml -o penstock.yaml",
    "penstock check -c penstock.yaml",
    "penstock validate -c penstock.yaml events.ndjson",
    "penstock process page-change --example",
)
_RECOVERY: Final = "tests/server/recovery/test_recover.py"
RUN_BY: Final = {
    "curl -sS -i http://127.0.0.1:8192/v1/events -H 'content-type: application/json' \\": (
        "tests/console/test_newcomer.py"
    ),
    """-d '{"$schema":"/shop/order/1.0.0","meta":{"stream":"shop.order"},"order_id":5,"total":"12.50"}'""": (
        "tests/console/test_newcomer.py"
    ),
    """-d '{"$schema":"/shop/order/1.0.0","meta":{"stream":"shop.order"},"order_id":"5","total":12.50}'""": (
        "tests/console/test_newcomer.py"
    ),
    'export PATH="$PWD/.venv/bin:$PATH"': "tests/docs/test_tutorial.py",
    "penstock serve -c my-intake/intake.yaml": "tests/docs/test_tutorial.py",
    "penstock serve -c penstock.yaml --set sink.kind=sqlite --set 'http.listen=[\"127.0.0.1:8192\"]'": (
        "tests/docs/test_quickstart.py"
    ),
    "penstock events -c penstock.yaml --set sink.kind=sqlite --follow": "tests/docs/test_quickstart.py",
    "curl -i 'http://127.0.0.1:8192/v1/events' -H 'content-type: application/json' -d @event.json": (
        "tests/docs/test_quickstart.py"
    ),
    "penstock serve -c my-intake/intake.yaml --set http.limits.requests_per_s_per_address=1 "
    "--set http.limits.burst_per_address=1": "tests/docs/test_sending_page.py",
    "penstock serve -c my-intake/intake.yaml --set sink.kind=kafka "
    """--set 'sink.kafka={"bootstrap.servers":"127.0.0.1:9"}'""": "tests/docs/test_sending_page.py",
    "penstock eventstreams -c penstock.yaml": "tests/eventstreams/test_programs.py",
    "curl -N 'http://127.0.0.1:8194/v2/stream/web.page_view?since=-1h'": "tests/eventstreams/test_served.py",
    "curl http://127.0.0.1:8192/v1/events?test=abc -H 'content-type: application/json' -d @event.json": (
        "tests/process/test_console_commands.py"
    ),
    "penstock tail --filter test:abc": "tests/process/test_console_commands.py",
    "penstock expect --where 'test:abc stream:web.page_view page:\"/home\"' --within 5s": (
        "tests/process/test_console_commands.py"
    ),
    "penstock expect --session abc --schema web/page_view --exactly 2 --none-invalid --junit report.xml": (
        "tests/process/test_console_commands.py"
    ),
    "penstock record --filter test:abc > run.ndjson": "tests/process/test_console_commands.py",
    "penstock replay run.ndjson": "tests/process/test_console_commands.py",
    "penstock recover -c intake.yaml --stream shop.order --since 2d --dry-run": _RECOVERY,
    "penstock recover -c intake.yaml --stream shop.order --since 2d": _RECOVERY,
    "penstock recover -c intake.yaml --stream shop.order --map 'integer .quantity' --map 'cut .note 200'": _RECOVERY,
    "penstock process page-change -c page-change.yaml": "tests/processors/page_change",
    "penstock process page-change --oracle --seed 1": "tests/processors/page_change",
    "lake/bin/penstock lake --once": "tests/processors/lake",
    "lake/bin/penstock lake --views > views.sql": "tests/processors/lake",
    "lake/bin/penstock lake -c lake.yaml --once": "tests/processors/lake",
    "lake/bin/penstock lake -c lake.yaml --views > views.sql": "tests/processors/lake",
    "lake/bin/penstock lake -c lake.yaml --spark > plan.json": "tests/processors/lake",
    'lake/bin/python -c "import duckdb': "tests/processors/lake",
    "deploy/kafka/run &": "tests/docs/test_kafka_page.py",
    "kcat -b 127.0.0.1:9092 -t hello.greeting -C -e -f '%k %h %s\\n'": "tests/docs/test_consuming_page.py",
    'prometheus --config.file="$CHECKOUT"/deploy/prometheus/prometheus.yml --storage.tsdb.path=prometheus': (
        "tests/process/test_alerts.py"
    ),
    "helm install my-intake deploy/helm/penstock -f my-values.yaml": "tests/deploy/test_helm.py",
    "helm install eventgate-main deploy/helm/penstock -f deploy/helm/penstock/profiles/eventgate-main.yaml": (
        "tests/deploy/test_helm.py"
    ),
    "python3 -m venv /opt/penstock/.venv": "tests/deploy/test_wheel.py",
    "/opt/penstock/.venv/bin/pip install --require-hashes --only-binary :all: --find-links dist "
    "-r dist/requirements.txt": "tests/deploy/test_wheel.py",
}
_NEEDS_NETWORK: Final = "it installs packages from the network: continuous integration begins with it"
_IS_TESTS: Final = "it runs the tests themselves"
_TAKES_LONG: Final = "it measures for minutes on a quiet machine; its parts are run by tests/bench"
NOT_RUN: Final = {
    "make run": "make setup and `penstock serve`; tests/process/test_commands.py runs the second",
    "make setup": _NEEDS_NETWORK,
    "make test": _IS_TESTS,
    "make test-quick": _IS_TESTS,
    "make fuzz": _IS_TESTS,
    "make lint type": _IS_TESTS,
    "make": "it prints its own list",
    "make bench-tools": "it builds programs in other languages from the network",
    "make bench": _TAKES_LONG,
    "make bench-compare BASE=rev": _TAKES_LONG,
    "make profile": _TAKES_LONG,
    "make load": _TAKES_LONG,
    'make load ARGS="--processes 4"': _TAKES_LONG,
    'make load ARGS="--master --expect-workers 8"': _TAKES_LONG,
    "locust -f bench/load/locustfile.py,bench/load/shapes.py --worker --master-host ADDRESS": _TAKES_LONG,
    "python3 -m venv flink && flink/bin/pip install --require-hashes -r requirements/flink.txt": _NEEDS_NETWORK,
    "python3 -m venv lake && lake/bin/pip install --require-hashes -r requirements/lake.txt "
    "-r requirements/lake-dev.txt && lake/bin/pip install --no-deps .": _NEEDS_NETWORK,
    "spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_2.13:4.0.1 deploy/spark/lake.py plan.json "
    "--servers 127.0.0.1:9092 --path /lake": "Spark takes 500 MB of its own, and its package for Kafka the network",
    "FLINK_LOG_DIR=/tmp flink/bin/python -m server process page-change --example --runner flink "
    '--kafka 127.0.0.1:9092 --jar "$(deploy/flink/fetch)"': "Flink is an environment of its own, of 1 GB; "
    "tests/processors/page_change runs it where it is installed",
}


def commands_of(page: Path) -> Iterator[str]:
    """The commands of a page, without comments. A backslash at the end of a line joins the next."""
    text = page.read_text(encoding="utf-8").replace(" \\\n        ", " ")
    fenced = re.findall(r"^```(?:sh|bash|console|shell)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    outside = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in fenced for line in block.splitlines()] if page.name not in RUN_WHOLE else []
    if page.name not in NO_COMMANDS:
        lines += re.findall(r"^    (\S.*)$", outside, re.MULTILINE)
    for line in lines:
        if not OF_PROXIES.match(line):
            yield re.sub(r"\s+#.*", "", line).split(";")[0].strip()


def test_every_command_is_run_or_listed_with_the_reason_why_not() -> None:
    found = {command for page in PAGES for command in commands_of(page)}
    listed = [*QUICK, *RUN_BY, *NOT_RUN]

    assert sorted(found - set(listed)) == [], "run it in a test, or say here why not"
    assert sorted(set(listed) - found) == [], "no page has it any more"
    assert len(listed) == len(set(listed))
    assert [place for place in {*RUN_BY.values(), *RUN_WHOLE.values()} if not (ROOT / place).exists()] == []


def test_pages_that_are_run_whole_have_commands() -> None:
    for page in RUN_WHOLE:
        assert "sh" in {kind for kind, _ in shell.blocks_of(page)}


@pytest.mark.slow(reason="nine commands are started")
def test_the_quick_commands_succeed(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "penstock"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m server "$@"\n')
    program.chmod(0o755)
    examples = ROOT / "server" / "examples"
    (tmp_path / "config.yaml").write_text(
        f"schema_base_uris: ['file://{examples}/schemas/']\nstream_config_uri: file://{examples}/streams.yaml\n"
        "kafka: {conf: {metadata.broker.list: '127.0.0.1:9092'}}\n"
    )
    (tmp_path / "events.ndjson").write_text(
        '{"$schema":"/shop/order/1.0.0","meta":{"stream":"shop.order"},"order_id":"A","total":1,"lines":[]}\n'
    )
    path = f"{program.parent}:{os.environ['PATH']}"
    for command in QUICK:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
        )

        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
