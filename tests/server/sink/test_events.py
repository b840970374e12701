"""`penstock events`: what the embedded sink holds."""

from __future__ import annotations

import io
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import orjson
import pytest

from server.commands import events
from server.config.settings import Config, Intake
from server.config.sink_settings import SinkSettings
from server.errors import SettingsError
from server.record import Record
from server.sink.base import Sink
from server.sink.sqlite import reader
from server.sink.sqlite.reader import read
from server.sink.sqlite.sink import SqliteSink
from tests.contract.sinks import HEADERS, Acks, drive, settle
from tests.fakes import Message
from tests.harness.running import PATIENCE_S

LINE = (
    b'{"topic":"t","key":null,"timestamp_ms":5,"headers":{"content-type":"application/json","schema-uri":"/a/b/1.0.0"},'
)


def store(directory: Path, *records: Record) -> None:
    async def test(sink: Sink) -> None:
        for one in records:
            assert sink.submit(one, Acks()) is None
            assert await settle(sink) == 0

    drive(test, SqliteSink(directory, max_outstanding=10_000, max_outstanding_bytes=1 << 26))


def plain(value: bytes, topic: str = "t", key: bytes | None = None) -> Record:
    return Message(topic, value, key, 5, HEADERS)


def shown(directory: Path, stream: str | None = None) -> list[bytes]:
    out = io.BytesIO()
    read(directory, stream, False, out)
    return out.getvalue().splitlines(keepends=True)


def test_an_event_is_one_line_with_its_parts(tmp_path: Path) -> None:
    store(tmp_path, plain(b'{"a":1}'))

    assert shown(tmp_path) == [LINE + b'"value":{"a":1}}\n']


def test_numbers_and_text_of_key_and_value_are_those_that_were_stored(tmp_path: Path) -> None:
    value = b'{"big": 123456789012345678901234567890, "exact": 1.10, "e": 1e400, "text": "\\u00e9 \\/"}'
    store(tmp_path, plain(value, key=b'{"id": 18446744073709551617}'))

    [line] = shown(tmp_path)

    assert b'"value":' + value + b"}" in line
    assert b'"key":{"id": 18446744073709551617},' in line


def test_line_breaks_between_tokens_do_not_break_the_line(tmp_path: Path) -> None:
    store(tmp_path, plain(b'{\r\n  "a": "x\\ny"\n}'))

    [line] = shown(tmp_path)

    assert orjson.loads(line)["value"] == {"a": "x\ny"}


def test_files_are_merged_by_the_time_at_which_their_events_were_stored(tmp_path: Path) -> None:
    other = tmp_path / "other"
    store(tmp_path, plain(b"1"))
    store(other, plain(b"2"))
    store(tmp_path, plain(b"3"))
    store(other, plain(b"4"))
    (other / "events-0.db").rename(tmp_path / "events-1.db")

    assert [orjson.loads(line)["value"] for line in shown(tmp_path)] == [1, 2, 3, 4]


def test_a_stream_is_chosen_by_the_event_or_by_the_topic(tmp_path: Path) -> None:
    store(
        tmp_path,
        plain(b'{"meta":{"stream":"s"},"n":1}', topic="eqiad.s"),
        plain(b'{"meta":{"stream":"other"},"n":2}', topic="eqiad.other"),
        plain(b'{"n":3}', topic="s"),
        plain(b'{"meta":"s","n":4}', topic="more.s"),
    )

    assert [orjson.loads(line)["value"]["n"] for line in shown(tmp_path, "s")] == [1, 3]


@pytest.mark.parametrize(
    "odd",
    [
        b'{"meta":{"stream":"other"},"n":1e400}',
        b'{"meta":{"stream":"other"},"n":' + b"9" * 5000 + b"}",
        b'{"meta":{"stream":"\\ud800"}}',
        b'{"meta":{"stream":"\xff"}}',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"meta":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
        b'{"meta":{"stream":',
        b"",
    ],
    ids=["beyond a double", "5000 digits", "surrogate", "no UTF-8", "deep", "deep below meta", "cut off", "empty"],
)
def test_no_stored_value_ends_the_choice_of_a_stream(tmp_path: Path, odd: bytes) -> None:
    store(tmp_path, plain(odd, topic="odd"), plain(b'{"meta":{"stream":"s"}}'))

    assert shown(tmp_path, "s") == [LINE + b'"value":{"meta":{"stream":"s"}}}\n']
    assert b'"value":' + odd + b"}" in shown(tmp_path, "odd")[0]


def test_the_stream_of_a_value_with_huge_numbers_is_found(tmp_path: Path) -> None:
    value = b'{"n":1e400,"meta":{"m":' + b"9" * 5000 + b',"stream":"s"}}'
    store(tmp_path, plain(value))

    assert shown(tmp_path, "s") == [LINE + b'"value":' + value + b"}\n"]


def test_a_topic_that_is_no_text_is_shown_as_well_as_can_be(tmp_path: Path) -> None:
    store(tmp_path, plain(b"1"))
    with closing(sqlite3.connect(tmp_path / "events-0.db")) as database, database:
        database.execute("UPDATE event SET topic = CAST(x'74ff' AS TEXT)")

    assert [orjson.loads(line)["topic"] for line in shown(tmp_path)] == ["t\ufffd"]
    assert shown(tmp_path, "t") == []


def test_more_rows_than_a_page_come_once_and_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "PAGE_ROWS", 7)
    store(tmp_path, *(plain(b"%d" % number) for number in range(50)))

    assert [orjson.loads(line)["value"] for line in shown(tmp_path)] == list(range(50))


def test_a_page_is_bounded_in_bytes(tmp_path: Path) -> None:
    large = b'"%s"' % (b"x" * 400_000)
    store(tmp_path, *(plain(large) for _ in range(5)))

    page, damage = reader._page(tmp_path / "events-0.db", 0, 5)
    assert len(page) == 3
    assert damage is None
    assert len(shown(tmp_path)) == 5


def test_nothing_is_shown_of_a_directory_that_is_not_there_and_of_a_file_that_is_being_made(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "events-0.db").close()

    assert shown(tmp_path) == []
    assert shown(tmp_path / "missing") == []


def test_it_reads_while_a_sink_writes_and_what_a_killed_one_left(tmp_path: Path) -> None:
    async def test(sink: Sink) -> None:
        sink.submit(plain(b"1"), Acks())
        await settle(sink)
        assert len(shown(tmp_path)) == 1
        sink.submit(plain(b"2"), Acks())
        await settle(sink)
        assert len(shown(tmp_path)) == 2

    drive(test, SqliteSink(tmp_path, max_outstanding=10, max_outstanding_bytes=1 << 20))


def test_reading_changes_nothing(tmp_path: Path) -> None:
    store(tmp_path, plain(b"1"))
    before = (tmp_path / "events-0.db").read_bytes()

    shown(tmp_path)

    assert (tmp_path / "events-0.db").read_bytes() == before


@pytest.mark.parametrize("kind", ["kafka", "memory"])
def test_another_sink_is_a_settings_error_that_says_what_to_do(
    kind: Literal["kafka", "memory"], tmp_path: Path
) -> None:
    config = Config(sink=SinkSettings(kind=kind))

    with pytest.raises(SettingsError, match=r"kcat|sink\.kind: sqlite"):
        events.run(config, tmp_path, None, False)


def test_a_file_that_cannot_be_read_is_said_plainly_and_the_others_are_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store(tmp_path / "var" / "events", plain(b"1"))
    (tmp_path / "var" / "events" / "events-1.db").write_bytes(b"no database" * 100)

    code = events.run(Config(sink=SinkSettings(kind="sqlite")), tmp_path, None, False)

    said = capfd.readouterr()
    assert code == 1
    assert said.out.encode() == LINE + b'"value":1}\n'
    assert "events-1.db is damaged (file is not a database): the ids from 1 on are missing" in said.err


def overwrite(path: Path, pages: Sequence[int]) -> None:
    with path.open("r+b") as file:
        for page in pages:
            file.seek(4096 * page)
            file.write(b"\xaa" * 4096)


@pytest.mark.parametrize(
    ("pages", "least"),
    [((30,), 990), ((20, 60, 90), 970), ((-1,), 990), ((-1, -2, 40), 970), ((1,), 1000)],
    ids=["a page", "three pages", "the last page", "the last pages and one before", "the root of the table"],
)
def test_what_can_be_read_around_damage_is_shown_and_the_rest_is_named(
    tmp_path: Path, pages: tuple[int, ...], least: int, capfd: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "var" / "events"

    async def test(sink: Sink) -> None:
        for number in range(1000):
            assert sink.submit(plain(b'{"n":%d,"text":"%s"}' % (number, b"x" * 500)), Acks()) is None
        assert await settle(sink) == 0

    drive(test, SqliteSink(directory, max_outstanding=10_000, max_outstanding_bytes=1 << 26))
    path = directory / "events-0.db"
    count = path.stat().st_size // 4096
    overwrite(path, [page % count for page in pages])

    code = events.run(Config(sink=SinkSettings(kind="sqlite")), tmp_path, None, False)

    said = capfd.readouterr()
    shown_numbers = [orjson.loads(line)["value"]["n"] for line in said.out.splitlines()]
    assert code == 1
    assert least <= len(shown_numbers) <= 1000 - (least < 1000)
    assert shown_numbers == sorted(set(shown_numbers))
    named: set[int] = set()
    for first, last in re.findall(r"the ids (\d+) to (\d+) are missing", said.err):
        named.update(range(int(first), int(last) + 1))
    for first in re.findall(r"the ids from (\d+) on are missing", said.err):
        named.update(range(int(first), 1001))
    assert named == set(range(1, 1001)) - {number + 1 for number in shown_numbers}


def test_a_database_that_was_set_aside_and_not_recovered_is_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "var" / "events"
    store(directory, plain(b"1"))
    (directory / "events-0.broken-20260101T000000Z").write_bytes(b"")
    (directory / "events-0.broken-20260101T000000Z-wal").write_bytes(b"")
    (directory / "events-1.broken-20260101T000000Z").write_bytes(b"")
    store(tmp_path / "other", plain(b"2"))
    (tmp_path / "other" / "events-0.db").rename(directory / "events-1.recovered-20260101T000000Z.db")

    code = events.run(Config(sink=SinkSettings(kind="sqlite")), tmp_path, None, False)

    said = capfd.readouterr()
    assert code == 1
    assert [orjson.loads(line)["value"] for line in said.out.splitlines()] == [1, 2]
    assert re.findall(r"(\S+) was set aside", said.err) == [str(directory / "events-0.broken-20260101T000000Z")]


def test_the_configured_field_names_the_stream(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    store(tmp_path / "var" / "events", plain(b'{"to":"s"}'), plain(b'{"to":"t"}'))
    config = Config(sink=SinkSettings(kind="sqlite"), intake=Intake(stream_field=["meta.stream", "to"]))

    code = events.run(config, tmp_path, "s", False)

    assert code == 0
    assert capfdbinary.readouterr().out == LINE + b'"value":{"to":"s"}}\n'


@contextmanager
def following(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    source = f"""
from pathlib import Path
from server.commands import events
from server.config.settings import Config
from server.config.sink_settings import SinkSettings, Sqlite
config = Config(sink=SinkSettings(kind="sqlite", sqlite=Sqlite(path={str(directory)!r})))
raise SystemExit(events.run(config, Path("/"), None, True))
"""
    process = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_follow_shows_new_rows_and_new_files_until_it_is_interrupted(tmp_path: Path) -> None:
    store(tmp_path, plain(b"1"))
    with following(tmp_path) as process:
        assert process.stdout is not None
        assert orjson.loads(process.stdout.readline())["value"] == 1
        store(tmp_path, plain(b"2"))
        assert orjson.loads(process.stdout.readline())["value"] == 2
        store(tmp_path / "other", plain(b"3"))
        (tmp_path / "other" / "events-0.db").rename(tmp_path / "events-1.db")
        assert orjson.loads(process.stdout.readline())["value"] == 3

        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)

        assert process.returncode == 0
        assert errors == b""


def test_follow_ends_quietly_when_nobody_reads_any_more(tmp_path: Path) -> None:
    store(tmp_path, plain(b"1"))
    with following(tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        deadline = time.monotonic() + PATIENCE_S
        while process.poll() is None and time.monotonic() < deadline:
            store(tmp_path, plain(b"2"))

        assert process.returncode == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_user_who_may_only_read_the_directory_can_read_it(tmp_path: Path) -> None:
    store(tmp_path, plain(b"1"))
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    source = f"""
import io, os
from pathlib import Path
from server.sink.sqlite.reader import read
os.setresuid(65534, 65534, 65534)
out = io.BytesIO()
read(Path({str(tmp_path)!r}), None, False, out)
print(out.getvalue().count(b"\\n"))
"""

    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr) == ("1\n", "")


def test_the_files_are_opened_for_reading_alone(tmp_path: Path) -> None:
    store(tmp_path, plain(b"1"))

    with (
        closing(reader._open(tmp_path / "events-0.db")) as database,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        database.execute("DELETE FROM event")
