"""``python -m server``, installed as ``penstock``: command line → what to run → exit code.

Place: the first file of every process of the program.
Rule: what an operator can mend is said in plain words on standard error, without a traceback.
Not here: what the commands do (server.commands), how settings are read (server.config).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from server.commands.output import say, until_nobody_reads
from server.errors import EXIT_DONE, EXIT_FOUND, PenstockError
from server.host import stdio
from server.version import VERSION


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code of CONTRACT section 6; wrong command lines exit with 2."""
    stdio.hold_open()
    code = EXIT_DONE
    try:
        with until_nobody_reads():
            options = _parser().parse_args(argv)  # Ends the process where it prints help.
            code = EXIT_FOUND  # Of a command that is not done when its reader goes.
            code = int(options.run(options))
    except PenstockError as error:
        say(f"penstock: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_DONE
    finally:
        stdio.finish()
    return code


def _serve(options: argparse.Namespace) -> int:
    from server.commands import serve

    return serve.run(options.config, options.set)


def _check(options: argparse.Namespace) -> int:
    from server.commands import check, streams

    if options.diff:
        return streams.diff(options.config, options.set, *options.diff)
    return check.run(options.config, options.set)


def _validate(options: argparse.Namespace) -> int:
    from server.commands import validate

    return validate.run(options.config, options.set, options.files)


def _streams(options: argparse.Namespace) -> int:
    from server.commands import streams

    return streams.run(options.config, options.set, options.words, options.constraints, is_json=options.json)


def _events(options: argparse.Namespace) -> int:
    from server.commands import events
    from server.config.load import load

    loaded = load(options.config, options.set, os.environ)
    return events.run(loaded.config, loaded.base_dir, options.stream, options.follow)


def _key(options: argparse.Namespace) -> int:
    from server.commands import key

    return key.run(options.name, is_given=options.hash)


def _soak(options: argparse.Namespace) -> int:
    from server.commands import soak

    return soak.run(options.seed, options.minutes, options.kafka, options.report, has_own_clock=options.clock)


def _size(options: argparse.Namespace) -> int:
    from server.commands import size

    load = size.Load(
        events_per_s=options.events_per_s,
        event_bytes=options.bytes,
        outage_min=options.outage_min,
        batch=options.batch,
        brokers=options.brokers,
        cores=options.cores,
    )
    return size.run(load, is_json=options.json)


def _import_eventgate(options: argparse.Namespace) -> int:
    from server.commands import import_eventgate

    return import_eventgate.run(options.file, options.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="penstock", description="An HTTP event intake in front of Apache Kafka.")
    parser.add_argument("--version", action="version", version=f"penstock {VERSION}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-c", "--config", type=Path, metavar="FILE", help="settings; without it the embedded default")
    common.add_argument("--set", action="append", default=[], metavar="A.B=VALUE", help="override one setting")

    serve = commands.add_parser("serve", parents=[common], help="take events")
    serve.set_defaults(run=_serve)
    check = commands.add_parser("check", parents=[common], help="check settings, streams and schemas; serve nothing")
    check.add_argument(
        "--diff", nargs=2, type=Path, metavar=("OLD", "NEW"), help="what a change of a file of streams would do"
    )
    check.set_defaults(run=_check)
    validate = commands.add_parser("validate", parents=[common], help="say what would become of events; send nothing")
    validate.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="newline-delimited JSON; or standard input"
    )
    validate.set_defaults(run=_validate)
    streams = commands.add_parser("streams", parents=[common], help="list declared streams, or explain some of them")
    streams.add_argument("words", nargs="*", metavar="[explain] NAME", help="these alone; or, explained line by line")
    streams.add_argument("--constraints", default="", metavar="A=B|C[D]=E", help="only those with these settings")
    streams.add_argument("--json", action="store_true", help="as the API of stream settings answers")
    streams.set_defaults(run=_streams)
    events = commands.add_parser("events", parents=[common], help="print what the embedded sink holds")
    events.add_argument("--stream", metavar="NAME", help="only this stream")
    events.add_argument("--follow", action="store_true", help="go on with new events until interrupted")
    events.set_defaults(run=_events)
    key = commands.add_parser("key", help="make an API key: the key on standard error, what to keep of it on output")
    key.add_argument("name", metavar="NAME", help="who will hold it")
    key.add_argument("--hash", action="store_true", help="make none, but read one from standard input")
    key.set_defaults(run=_key)
    soak = commands.add_parser(
        "soak", help="start a service and brokers, do them harm, and see whether a promise breaks"
    )
    soak.add_argument("--seed", type=int, default=1, metavar="N", help="what decides on clients and faults; default 1")
    soak.add_argument("--minutes", type=_minutes, default=1.0, metavar="M", help="how long; default 1")
    soak.add_argument("--kafka", type=Path, metavar="SCRIPT", help="start Apache Kafka by this instead of mock brokers")
    soak.add_argument("--report", type=Path, metavar="FILE", help="write the outcome as JSON, and the log beside it")
    soak.add_argument("--clock", action="store_true", help="let the service's clock jump too; needs libfaketime")
    soak.set_defaults(run=_soak)
    size = commands.add_parser("size", help="say what a load takes: workers, memory, spool, partitions, connections")
    size.add_argument("--events-per-s", type=_positive, required=True, metavar="N")
    size.add_argument("--bytes", type=_whole, required=True, metavar="B", help="of one event")
    size.add_argument("--outage-min", type=_positive, default=30.0, metavar="M", help="without brokers; default 30")
    size.add_argument("--batch", type=_whole, default=1, metavar="K", help="events a request; default 1")
    size.add_argument("--brokers", type=_whole, default=3, metavar="N", help="of Kafka; default 3")
    size.add_argument("--cores", type=_whole, default=8, metavar="N", help="of one host; default 8")
    size.add_argument("--json", action="store_true", help="for programs, with the constants")
    size.set_defaults(run=_size)
    imported = commands.add_parser("import-eventgate", help="turn the settings of an EventGate into ours")
    imported.add_argument("file", type=Path, metavar="FILE", help="its config.yaml, or values of its Helm chart")
    imported.add_argument("-o", "--output", type=Path, metavar="FILE", help="write settings here; or standard output")
    imported.set_defaults(run=_import_eventgate)
    return parser


def _minutes(text: str) -> float:
    minutes = float(text)
    if not 0 < minutes <= 24 * 60:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {24 * 60}")
    return minutes


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number <= 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and {1e9:g}")
    return number


def _whole(text: str) -> int:
    number = int(text)
    if not 0 < number <= 1 << 30:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {1 << 30}")
    return number


if __name__ == "__main__":
    sys.exit(main())
