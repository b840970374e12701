"""``penstock alerts generate``: write rules of Prometheus for the streams of these settings.

Place: a command of its own → plausibility.rules.
Rules: streams whose settings turn alarms off have no rules, and neither have those that only match a regular
expression, since no single name is known. Files are replaced as wholes.
Not here: the text of rules (plausibility.rules), the alerts of the whole service (deploy/prometheus).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from server.boot.examine import examine, usable
from server.catalog.regex import is_regex
from server.commands.support.options import add_settings
from server.commands.support.output import until_nobody_reads
from server.config.load import load
from server.errors import EXIT_DONE, UsageError
from server.plausibility import rules
from server.plausibility.rules import StreamRule
from server.plausibility.settings import settings_of

if TYPE_CHECKING:
    from server.catalog.snapshot import Snapshot
    from server.config.settings import Config

READ_S: Final = 0.1  # No schema is needed.


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_settings(parser)
    parser.add_argument("action", choices=("generate",), help="write the rules")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the file of rules; default: standard output")
    parser.add_argument("--tests", type=Path, metavar="FILE", help="write promtool's tests of the rules, too")
    parser.add_argument(
        "--steady", metavar="NAME", action="append", default=[], help="this stream has events at all times; repeatable"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.tests is not None and options.output is None:
        raise UsageError("--tests needs -o FILE: the tests name the file of rules")
    loaded = load(options.config, options.set, os.environ)
    snapshot, _ = usable(examine(loaded, READ_S))
    found = _rules(snapshot, loaded.config, set(options.steady))
    if missing := set(options.steady) - {rule.stream for rule in found}:
        raise UsageError(f"--steady: there are no rules of {', '.join(sorted(missing))}")
    text = rules.rules(found)
    if options.output is None:
        with until_nobody_reads():
            print(text, end="")
        return EXIT_DONE
    _write(options.output, text)
    if options.tests is not None:
        _write(options.tests, rules.tests(found, os.path.relpath(options.output, options.tests.parent)))
    return EXIT_DONE


def _rules(snapshot: Snapshot, config: Config, steady: set[str]) -> list[StreamRule]:
    found = []
    for stream in snapshot.streams():
        is_ours = config.service_name is None or stream.service in (None, config.service_name)
        wanted = settings_of(stream.settings)
        if stream.enabled and is_ours and wanted.enabled and not is_regex(stream.name):
            least = wanted.expected_min_per_h
            found.append(StreamRule(stream.name, wanted.owner, wanted.severity, least, stream.name in steady))
    return found


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror}") from None
