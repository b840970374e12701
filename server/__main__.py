"""``python -m server``, installed as ``penstock``: run the command that the command line names.

Place: the first file of every process of the program.
Rules: an error that an operator can mend is printed in plain words on standard error, without a traceback. Only the
module of the given command is imported, since some take a quarter of a second to load.
Not here: what a command does, and its options (server.commands), how settings are read (server.config).
"""

from __future__ import annotations

import difflib
import importlib.util
import sys
from collections.abc import Sequence

from server.commands.support.output import say, until_nobody_reads
from server.commands.support.parser import COMMANDS, make_parser
from server.errors import EXIT_DONE, EXIT_FOUND, EXIT_INTERRUPTED, PenstockError
from server.host import stdio

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


if __name__ == "__main__":
    sys.exit(main())
