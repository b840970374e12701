"""The command line as an operator meets it: exit codes, and messages without a traceback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.harness.running import PATIENCE_S, ROOT, Running, eventually
from tests.harness.served import EXAMPLES, READY, Served

VALID = b'{"$schema":"/web/page_view/1.1.0","meta":{"stream":"web.page_view"},"page":"/home"}'


def penstock(directory: Path, *arguments: str, stdin: bytes = b"") -> tuple[int, str]:
    """Exit code, and everything that was said."""
    done = subprocess.run(
        [sys.executable, "-m", "server", *arguments],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )
    said = done.stdout.decode()
    assert "Traceback" not in said
    return done.returncode, said


def settings(directory: Path, **sections: object) -> Path:
    """A settings file over the examples, and over copies in the directory where there are any."""
    whole = {
        "http": {"listen": ["127.0.0.1:0"]},
        "admin": {"listen": "127.0.0.1:0"},
        "schemas": {"base_uris": [str(EXAMPLES / "schemas")]},
        "streams": {"sources": [str(EXAMPLES / "streams.yaml")]},
        "sink": {"kind": "sqlite"},
        **sections,
    }
    path = directory / "penstock.yaml"
    path.write_text(json.dumps(whole, indent=1))
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("serve", "--fast"),
        ("validate", "nowhere.ndjson"),
        ("serve", "--set", "foo"),
        ("check", "--set", "=1"),
        ("soak", "--minutes", "0"),
    ],
)
def test_a_wrong_command_line_ends_with_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert penstock(tmp_path, *arguments)[0] == 2


def test_bad_settings_end_with_3_and_name_file_line_and_key(tmp_path: Path) -> None:
    path = settings(tmp_path, wrokers=2)

    for command in ("serve", "check", "validate", "events"):
        code, said = penstock(tmp_path, command, "-c", str(path))

        assert code == 3
        assert "penstock.yaml:23" in said and "wrokers" in said and "workers" in said


def test_settings_that_are_not_there_or_not_yaml_end_with_3(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("http: [")

    assert penstock(tmp_path, "serve", "-c", str(tmp_path / "nowhere.yaml"))[0] == 3
    code, said = penstock(tmp_path, "serve", "-c", str(broken))

    assert code == 3 and "broken.yaml:" in said


def test_bad_streams_end_with_3_and_name_file_line_and_stream(tmp_path: Path) -> None:
    streams = tmp_path / "streams.yaml"
    streams.write_text("streams:\n  good:\n    schema_title: web/page_view\n  bad:\n    schema_title: /web/page_view\n")

    code, said = penstock(tmp_path, "serve", "-c", str(settings(tmp_path, streams={"sources": [str(streams)]})))

    assert code == 3
    assert "streams.yaml:5" in said and "stream bad" in said and "schema_title" in said


def test_a_bad_schema_ends_with_3_and_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "schemas" / "web" / "page_view"
    folder.mkdir(parents=True)
    (folder / "1.0.0.yaml").write_text("title: web/page_view\ntype: objekt\n")
    (tmp_path / "streams.yaml").write_text("streams: {web.page_view: {schema_title: web/page_view}}")
    path = settings(tmp_path, schemas={"base_uris": ["schemas"]}, streams={"sources": ["streams.yaml"]})

    code, said = penstock(tmp_path, "serve", "-c", str(path))

    assert code == 3
    assert "schema /web/page_view/1.0.0 cannot be used" in said and ".type" in said


def test_a_taken_port_ends_with_4_and_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        code, said = penstock(tmp_path, "serve", "-c", str(settings(tmp_path, http={"listen": [address]})))

    assert code == 4
    assert address in said


def test_a_directory_that_cannot_be_made_ends_with_5_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sink = {"kind": "sqlite", "sqlite": {"path": "file/events"}}

    code, said = penstock(tmp_path, "serve", "-c", str(settings(tmp_path, sink=sink)))

    assert code == 5
    assert "file/events" in said


def test_kafka_properties_that_break_a_promise_end_with_3(tmp_path: Path) -> None:
    sink = {"kind": "kafka", "kafka": {"bootstrap.servers": "127.0.0.1:1", "acks": 1}}

    code, said = penstock(tmp_path, "serve", "-c", str(settings(tmp_path, sink=sink)))

    assert code == 3
    assert "sink.kafka.acks" in said


def test_check_of_the_embedded_default_finds_nothing(tmp_path: Path) -> None:
    code, said = penstock(tmp_path, "check")

    assert code == 0
    assert "0 error(s), 0 warning(s)" in said


def test_validate_prints_a_verdict_a_line_and_ends_with_1_when_one_is_invalid(tmp_path: Path) -> None:
    events = tmp_path / "events.ndjson"
    events.write_bytes(VALID + b"\n\n" + VALID.replace(b'"/home"', b"7") + b"\nnonsense\n[1]\n")

    assert penstock(tmp_path, "validate", stdin=VALID)[0] == 0
    code, said = penstock(tmp_path, "validate", str(events))

    verdicts = [json.loads(line) for line in said.splitlines()]
    assert code == 1
    assert [verdict["status"] for verdict in verdicts] == ["valid", "invalid", "invalid", "invalid"]
    assert [verdict["index"] for verdict in verdicts] == [0, 1, 2, 3]
    assert verdicts[0]["stream"] == "web.page_view" and verdicts[0]["event"]["meta"]["id"]
    assert verdicts[1]["context"]["errorsText"] == "'.page' should be string"


def test_events_of_a_sink_that_keeps_none_is_an_error_that_says_what_to_use(tmp_path: Path) -> None:
    code, said = penstock(tmp_path, "events", "-c", str(settings(tmp_path, sink={"kind": "memory"})))

    assert code == 3
    assert "sqlite" in said


def unread(directory: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """The command with a standard output that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "server", *arguments]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    try:
        return subprocess.Popen(command, cwd=directory, env=environ, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)


@pytest.mark.parametrize("command", ["validate", "events", "check"])
def test_a_reader_that_has_left_is_no_failure(tmp_path: Path, command: str) -> None:
    (tmp_path / "events.ndjson").write_bytes((VALID + b"\n") * 1000)  # More than is written at once.
    arguments = ["events.ndjson"] if command == "validate" else []

    with unread(tmp_path, command, *arguments) as process:
        _, said = process.communicate(timeout=60)

    assert [line for line in said.decode().splitlines() if "nothing has been stored" not in line] == []
    assert process.returncode == 0


def test_validate_still_ends_with_1_when_its_reader_left_after_an_invalid_event(tmp_path: Path) -> None:
    (tmp_path / "events.ndjson").write_bytes(b"nonsense\n")

    with unread(tmp_path, "validate", "events.ndjson") as process:
        _, said = process.communicate(timeout=60)

    assert (process.returncode, said) == (1, b"")


def test_serve_goes_on_when_nobody_reads_its_welcome(tmp_path: Path) -> None:
    sets = ["http.listen=[127.0.0.1:0]", "admin.listen=127.0.0.1:0", "workers=1", "log.style=text"]
    with unread(tmp_path, "serve", *(word for one in sets for word in ("--set", one))) as process:
        assert process.stderr is not None
        try:
            while b"ready: generation 1" not in (line := process.stderr.readline()):
                assert line, "it has ended"
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()

    assert process.returncode == 0, said
    assert b"stopped: exit code 0" in said


def until_opened(pipe: Path, service: Running) -> int:
    """Wait until the service reads from the named pipe; the writing end, with nothing written."""

    def opened() -> list[int]:
        try:
            return [os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)]
        except OSError:  # Nobody reads yet.
            return []

    return eventually(opened, or_show=service.log)[0]


def test_term_that_comes_while_the_settings_are_read_ends_the_service_before_it_has_a_worker(tmp_path: Path) -> None:
    """The settings are a pipe, so that it is certain that they are being read."""
    text = settings(tmp_path).read_bytes()
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    with Running(["-m", "server", "serve", "-c", str(pipe)], tmp_path / "log") as service:
        writer = until_opened(pipe, service)
        service.signal(signal.SIGTERM)
        with os.fdopen(writer, "wb") as stream:
            stream.write(text)

        assert service.exit_code() == 0
        assert "stopped: exit code 0" in service.log()
        assert "ready" not in service.log() and "has left" not in service.log()


def test_int_does_not_wait_for_settings_that_cannot_be_read_yet(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    with Running(["-m", "server", "serve", "-c", str(pipe)], tmp_path / "log") as service:
        writer = until_opened(pipe, service)
        service.signal(signal.SIGINT)

        assert service.exit_code() == 0
        assert service.log() == ""
    os.close(writer)


def test_hup_that_comes_while_the_settings_are_read_has_them_read_again(tmp_path: Path) -> None:
    text = settings(tmp_path, workers=1).read_bytes()
    path = tmp_path / "settings.yaml"
    os.mkfifo(path)
    with Running(["-m", "server", "serve", "-c", str(path)], tmp_path / "log") as service:
        writer = until_opened(path, service)
        path.unlink()
        path.write_bytes(text)  # For the second time; the first one has the pipe open.
        service.signal(signal.SIGHUP)
        with os.fdopen(writer, "wb") as stream:
            stream.write(text)

        service.says(READY, times=2)
        service.signal(signal.SIGTERM)
        assert service.exit_code() == 0


def test_after_hup_the_log_of_the_new_settings_is_used_by_master_and_workers(tmp_path: Path) -> None:
    """Text before and JSON after; what a worker has to say is that its master was killed."""
    with Served(tmp_path, workers=1, log={"style": "text"}) as service:
        service.write(workers=1, log={"style": "json"})
        service.signal(signal.SIGHUP)
        service.says('"logger":"master".*has left: exit code 0')
        service.signal(signal.SIGKILL)
        service.says('"logger":"worker".*the master is gone')


def test_after_hup_the_level_of_the_new_settings_is_used(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1, log={"level": "info"}) as service:
        service.write(workers=1, log={"level": "error"})
        service.reload()
        service.signal(signal.SIGTERM)

        assert service.exit_code() == 0
        assert "stopped" not in service.log()


def test_validate_says_of_lines_what_the_service_says_of_them(tmp_path: Path) -> None:
    """A file of Windows begins with a byte order mark: its first event was refused, in a line that was no JSON."""
    content = b"\xef\xbb\xbf" + VALID + b'\n5\nnull\n[{}]\n{bad\n\xff\n"text"\n'
    (tmp_path / "events.ndjson").write_bytes(content)
    code, said = penstock(tmp_path, "validate", "events.ndjson")
    (tmp_path / "served").mkdir()
    with Served(tmp_path / "served", http={"listen": ["127.0.0.1:0"]}) as service:
        head = {"Content-Type": "application/x-ndjson"}
        url = "http://{}:{}/v1/validate".format(*service.address)
        request = urllib.request.Request(url, data=content, headers=head)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            wanted = json.loads(answer.read())["events"]

    def told(verdict: dict[str, Any]) -> tuple[Any, ...]:
        shown = verdict["event"] if isinstance(verdict["event"], str) else verdict["event"]["page"]
        return verdict["index"], verdict["status"], shown, verdict.get("context")

    assert code == 1
    assert [told(json.loads(line)) for line in said.splitlines()] == [told(one) for one in wanted]
