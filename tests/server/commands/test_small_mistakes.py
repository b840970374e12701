"""Small mistakes of those who type commands are answered with what helps, and with the right exit code."""

from __future__ import annotations

import argparse
import io
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from server import __main__ as program
from server.commands import check, events, import_eventgate, size
from server.commands.size import Load
from server.config.load import load
from server.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_USAGE, UsageError
from tests.harness.running import ROOT


@pytest.mark.parametrize(("command", "code"), [("validate", EXIT_INTERRUPTED), ("check", 130), ("serve", EXIT_DONE)])
def test_a_command_that_int_ends_has_not_succeeded(monkeypatch: pytest.MonkeyPatch, command: str, code: int) -> None:
    def interrupted(_: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "make_parser", lambda _: argparse.ArgumentParser(add_help=False))
    monkeypatch.setattr(
        argparse.ArgumentParser, "parse_args", lambda *_: argparse.Namespace(run=interrupted, command=command)
    )

    assert program.main([command]) == code


@pytest.mark.parametrize("error", ["KeyboardInterrupt", "ValueError"])
def test_int_while_a_program_is_imported_shows_no_traceback(error: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"import server; raise {error}"], cwd=ROOT, capture_output=True)

    if error == "KeyboardInterrupt":
        assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")
    else:
        assert done.returncode == 1
        assert done.stderr.endswith(b"\nValueError\n")


@pytest.mark.parametrize(
    ("name", "hint"), [("serv", "did you mean serve?"), ("valdiate", "did you mean validate?"), ("xyz", "--help lists")]
)
def test_a_command_that_does_not_exist_is_answered_with_the_nearest(
    name: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main([name])

    assert ended.value.code == EXIT_USAGE
    assert f"there is no command {name!r}; " in (said := capsys.readouterr().err) and hint in said


@pytest.mark.parametrize("events_per_s", [40_000, 100_000])
def test_the_disk_of_the_spare_host_takes_no_part_of_the_spool(events_per_s: int) -> None:
    """When it is needed, another host is down, and that one's disk takes nothing."""
    found = size.size(Load(events_per_s=events_per_s, event_bytes=1000, cores=4), size.measured())
    waiting = events_per_s * 30 * 60 * (1000 + size.STORED_BYTES) / (1 - size.OWED_SHARE)

    assert found.hosts > 1
    assert (found.hosts - 1) * found.spool_bytes_per_host >= waiting


def test_the_hint_about_a_title_with_a_slash_is_the_whole_remedy(tmp_path: Path) -> None:
    """A title without the slash and with its version would be the next mistake."""
    (tmp_path / "streams.yaml").write_text("streams:\n  a: {schema_title: /web/page/1.0.0}\n")
    (tmp_path / "settings.yaml").write_text("streams: {sources: [streams.yaml]}\nschemas: {base_uris: [.]}\n")
    out = io.StringIO()
    check.run(tmp_path / "settings.yaml", ["sink.kind=memory"], environ={}, out=out)

    assert "A title does not: web/page\n" in out.getvalue()


def test_a_stream_without_events_is_told_with_those_that_have_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "settings.yaml").write_text("sink: {kind: sqlite}\n")
    loaded = load(tmp_path / "settings.yaml", [], {})

    assert events.run(loaded.config, loaded.base_dir, "nope", False) == EXIT_DONE
    assert "has been stored" in capsys.readouterr().err


def test_an_empty_file_is_no_eventgate(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    with pytest.raises(UsageError, match=r"has no settings: name EventGate's config\.yaml") as refused:
        import_eventgate.run(tmp_path / "config.yaml", None)

    assert refused.value.exit_code == EXIT_USAGE


def test_a_property_that_stands_beside_conf_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.yaml"
    file.write_text('kafka:\n  guaranteed:\n    linger.ms: 7\n  conf: {metadata.broker.list: "a:1"}\n')
    import_eventgate.run(file, None)

    told = "config.yaml:3: kafka.guaranteed.linger.ms: is no setting of EventGate and was not imported"
    assert told in capsys.readouterr().err
