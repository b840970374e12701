"""Runs of the command between topics, for several test files."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource

from processors.page_change.oracle.kafka import Topics
from tests.harness.running import ROOT


def process(python: str, config: Path, *options: str, within_s: float = 220) -> None:
    """Run the processor to the ends of its inputs."""
    command = [python, "-m", "server", "process", "page-change", "-c", str(config), "--once", *options]
    environ = os.environ | {"FLINK_LOG_DIR": str(config.parent)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=within_s, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr


def events_read(path: Path) -> int:
    """The number of source events that the committed positions of a state are behind."""
    try:
        with closing(sqlite3.connect(path)) as database:
            return int(database.execute("SELECT coalesce(sum(position), 0) FROM position").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # It has not been made yet.


def limit(topics: Topics, most: int) -> None:
    """Let the topics of the output take no batch of more bytes."""
    entry = ConfigEntry("max.message.bytes", str(most), incremental_operation=AlterConfigOpType.SET)
    resources = [ConfigResource("topic", name, incremental_configs=[entry]) for name in topics.written.values()]
    admin = AdminClient({"bootstrap.servers": topics.servers})
    for done in admin.incremental_alter_configs(resources).values():
        done.result(30)
