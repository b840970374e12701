"""The command line of ``penstock``: its commands, and the parser of their options.

Place: __main__ → HERE → the module of the given command; commands.completion prints scripts and a manual page of it.
Rule: a command's module is imported when its options are asked for, since some take a quarter of a second to load.
Not here: what a command does, and its options (server.commands).
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Collection

from server.version import VERSION

EXAMPLES = """\
examples:
  penstock serve                                   example schemas and streams, SQLite, http://127.0.0.1:8192
  penstock init my-intake                          begin an intake of your own
  penstock check -c intake.yaml                    list what is wrong with settings, streams and schemas
  penstock serve -c intake.yaml --set workers=4    serve, with one setting overridden
  penstock validate -c intake.yaml events.ndjson   judge events without sending them
  penstock events -c intake.yaml --follow          show what the embedded sink holds, and what comes
  penstock key website --file keys.yaml            make an API key

penstock COMMAND --help describes the options of a command. While a service runs, a browser finds streams, schemas
and a form at its address, http://127.0.0.1:8192/ by default; docs/TUTORIAL.md is the way in.
"""

# The commands in the order of the help, each with its line there. A command is a module of server.commands that has
# ``arguments(parser)``, which sets ``run``: a function from the parsed options to the exit code.
COMMANDS = {
    "init": "write the files of an intake of your own: settings, a schema, a stream, a script that posts",
    "serve": "take events",
    "eventstreams": "serve streams of events to their consumers",
    "check": "check settings, streams and schemas; serve nothing",
    "validate": "print the verdict on each event; send nothing",
    "streams": "list declared streams, or explain some of them",
    "schemas": "make versions of schemas, check what a change breaks, tell what has changed, find mistakes, try events",
    "types": "write types of events for programs that send them",
    "events": "print what the embedded sink holds",
    "dev": "take events, show them on the console, and use schemas and streams as soon as they are saved",
    "tail": "print every event and every refused request of a running service as they come",
    "expect": "wait until events have come, and say what came instead",
    "coverage": "print which fields and values of their schemas the events of a test run had, and which never",
    "record": "print the events that reached a running service, for replay",
    "replay": "validate a recording again, and say what has changed",
    "recover": "judge refused events again, after a schema was corrected, and store those that are good now",
    "canary": "send an artificial event through each stream, and look for it where events are stored",
    "alerts": "write rules of Prometheus for the streams of these settings, with tests",
    "key": "make an API key: print the key on standard error, and its entry for the settings on standard output",
    "process": "run a stream processor: page-change makes one ordered stream of page changes",
    "lake": "write the events of the sink into tables of Iceberg, one for each stream",
    "soak": "start a service and brokers, inject faults, and check that no promise is broken",
    "size": "estimate the resources for a load: workers, memory, spool, partitions, connections",
    "completion": "print a completion script for bash and zsh, or the manual page",
    "import-eventgate": "convert the settings of an EventGate into settings of this service",
}
# Modules that lie in a folder below server.commands.
_FOLDERS = {
    "alerts": "monitoring",
    "canary": "monitoring",
    "lake": "processing",
    "process": "processing",
    "recover": "recovery",
}


def make_parser(asked: Collection[str]) -> argparse.ArgumentParser:
    """Make the parser of all commands, with the options of the ``asked`` ones alone."""
    parser = argparse.ArgumentParser(
        prog="penstock",
        description="An HTTP event intake in front of Apache Kafka.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"penstock {VERSION}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what)
        if name in asked:
            importlib.import_module(_module_of(name)).arguments(command)
    return parser


def _module_of(name: str) -> str:
    return ".".join(filter(None, ("server.commands", _FOLDERS.get(name), name.replace("-", "_"))))
