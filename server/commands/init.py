"""``penstock init DIR``: write the files of an intake of one's own: settings, a schema, a stream, a script that posts.

Place: a command of its own; it copies server/examples/starter.
Rule: no file that exists is overwritten, and nothing is written if one of them exists.
Not here: what to do with them (docs/TUTORIAL.md).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from server.commands.support.output import until_nobody_reads
from server.errors import EXIT_DONE, UsageError

STARTER = Path(__file__).parent.parent / "examples" / "starter"
NEXT = """\
{directory} has an intake of your own:

{files}

Check it, start it, and post an event from another terminal:

  cd {directory}
  penstock check -c intake.yaml
  penstock serve -c intake.yaml
  sh post.sh
  penstock events -c intake.yaml

docs/TUTORIAL.md goes on from here: a schema and a stream of your own.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="where to write them; it is made if absent")
    parser.set_defaults(run=lambda options: run(options.directory))


def run(directory: Path) -> int:
    """Write the files and print what to do next. Raises UsageError."""
    files = [path.relative_to(STARTER) for path in sorted(STARTER.rglob("*")) if path.is_file()]
    there = [str(directory / file) for file in files if (directory / file).exists()]
    if there:
        raise UsageError(
            f"already there: {', '.join(there)}. Nothing was written: name another directory, or go on with this one"
        )
    try:
        for file in files:
            (directory / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(STARTER / file, directory / file)
    except OSError as error:
        raise UsageError(f"cannot write {error.filename or directory}: {error.strerror}") from None
    with until_nobody_reads():
        print(NEXT.format(directory=directory, files="\n".join(f"  {file}" for file in files)), end="")
    return EXIT_DONE
