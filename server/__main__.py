"""``python -m server``, installed as ``penstock``: run the command that the command line names.

Place: the first file of every process of the program.
Rules: an error that an operator can mend is printed in plain words on standard error, without a traceback. Only the
module of the given command is imported, since some take a quarter of a second to load.
Not here: what a command does, and its options (server.commands), how settings are read (server.config).
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import importlib.util
import sys
from collections.abc import Collection, Sequence

from server.commands.support.output import say, until_nobody_reads
from server.errors import EXIT_DONE, EXIT_FOUND, EXIT_INTERRUPTED, PenstockError
from server.host import stdio
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
    "types": "write types of events for programs that send them",
    "events": "print what the embedded sink holds",
    "dev": "take events, show them on the console, and use schemas and streams as soon as they are saved",
    "tail": "print every event and every refused request of a running service as they come",
    "expect": "wait until events have come, and say what came instead",
    "coverage": "print which fields and values of their schemas the events of a test run had, and which never",
    "record": "print the events that reached a running service, for replay",
    "replay": "validate a recording again, and say what has changed",
    "key": "make an API key: print the key on standard error, and its entry for the settings on standard output",
    "process": "run a stream processor: page-change makes one ordered stream of page changes",
    "soak": "start a service and brokers, inject faults, and check that no promise is broken",
    "size": "estimate the resources for a load: workers, memory, spool, partitions, connections",
    "completion": "print a completion script for bash and zsh, or the manual page",
    "import-eventgate": "convert the settings of an EventGate into settings of this service",
}


# Packages of the wheel that are not below a name of its own: `pip install` of another one overwrites them in silence.
OURS = ("server", "validators", "soak", "eventstreams", "processors")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code (server.errors); wrong command lines exit with 2."""
    stdio.hold_open()
    code = EXIT_DONE
    arguments = sys.argv[1:] if argv is None else argv
    try:
        with until_nobody_reads():
            parser = make_parser(arguments[:1])
            if arguments and arguments[0] not in COMMANDS and not arguments[0].startswith("-"):
                parser.error(_no_command(arguments[0]))
            options = parser.parse_args(arguments)  # It ends the process when it prints help.
            code = EXIT_FOUND  # The code if the reader of the output leaves before the command is done.
            code = int(options.run(options))
    except PenstockError as error:
        say(f"penstock: {error}")
        return error.exit_code
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in OURS:
            raise
        say(f"penstock: {_overwritten(error)}")
        return EXIT_FOUND
    except KeyboardInterrupt:
        # A service that is still reading its settings has nothing to lose; other commands have not done their work.
        return EXIT_DONE if list(arguments[:1]) == ["serve"] else EXIT_INTERRUPTED
    finally:
        stdio.finish()
    return code


def _overwritten(error: ImportError) -> str:
    """Say which package is not ours any more, why that may be, and what to do."""
    package = (error.name or "").partition(".")[0]
    found = importlib.util.find_spec(package)
    place = found.origin if found is not None else "nowhere"
    return (
        f"the package {package} of Penstock cannot be used ({error}); it was found at {place}. Another package of that "
        f"name was probably installed over it, such as the project {package} of PyPI. Install Penstock into a virtual "
        "environment of its own, or remove the other package and install Penstock again"
    )


def _no_command(name: str) -> str:
    close = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]}?" if close else "penstock --help lists all commands"
    return f"there is no command {name!r}; {hint}"


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
            importlib.import_module(f"server.commands.{name.replace('-', '_')}").arguments(command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
