"""Which sink the settings name, and what is imported for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from server.config.sink_settings import SinkSettings, Sqlite
from server.errors import SettingsError
from server.sink.kafka.producer import KafkaSink
from server.sink.make import make
from server.sink.memory.sink import MemorySink
from server.sink.sqlite.sink import SqliteSink


def test_each_kind_has_its_sink(tmp_path: Path) -> None:
    assert isinstance(make(SinkSettings(kind="memory"), tmp_path), MemorySink)
    assert isinstance(make(SinkSettings(kind="sqlite"), tmp_path), SqliteSink)
    assert isinstance(make(SinkSettings(kind="kafka"), tmp_path), KafkaSink)


@pytest.mark.parametrize("absolute", [False, True])
def test_a_relative_path_is_relative_to_the_settings(tmp_path: Path, absolute: bool) -> None:
    path = str(tmp_path / "kept") if absolute else "kept"
    sink = make(SinkSettings(kind="sqlite", sqlite=Sqlite(path=path)), tmp_path)

    assert isinstance(sink, SqliteSink)
    assert sink._directory == tmp_path / "kept"


def test_properties_that_break_a_promise_are_refused_with_every_reason(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        make(SinkSettings(kafka={"bootstrap.servers": "a:1", "acks": 1, "retries": 0}), tmp_path)

    assert [line.split(":")[0] for line in str(refused.value).splitlines()] == ["sink.kafka.acks", "sink.kafka.retries"]


def test_sqlite_needs_no_librdkafka(tmp_path: Path) -> None:
    source = f"""
import sys
from pathlib import Path
from server.config.sink_settings import SinkSettings
from server.sink.make import make
make(SinkSettings(kind="sqlite"), Path({str(tmp_path)!r}))
print("confluent_kafka" in sys.modules)
"""

    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)

    assert done.stdout == "False\n"
