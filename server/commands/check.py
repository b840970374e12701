"""``penstock check``: check settings, streams and schemas without serving.

Place: __main__ → HERE → boot.examine, boot.directories; ``serve`` uses the same ``examine``, so settings that pass here
start there.
Rules: every finding is printed, warnings too; only an error makes the exit code 3. The way in which schemas judge is
not a finding and is printed after them: counts, and the schemas that the reference alone can judge, which cost several
times as much per event.
Not here: the checks (boot.examine; eventstreams.check_consumers for what only that program reads;
canary.check_examples, plausibility.check_fields).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from server.boot import directories
from server.boot.examine import Examined, examine
from server.commands import streams
from server.commands.support.options import add_settings
from server.commands.support.output import until_nobody_reads
from server.config.framework.finding import errors_of
from server.config.load import load
from server.errors import EXIT_DONE, EXIT_SETTINGS, SettingsError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_settings(parser)
    parser.add_argument(
        "--diff",
        nargs=2,
        type=Path,
        metavar=("OLD", "NEW"),
        help="print the effects of replacing one file of streams by another",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.diff:
        return streams.diff(options.config, options.set, *options.diff)
    return run(options.config, options.set)


def run(
    path: Path | None,
    overrides: Sequence[str],
    *,
    environ: Mapping[str, str] = os.environ,
    out: TextIO | None = None,
) -> int:
    """Print each finding and a summary line; 0 when there is no error, else 3."""
    from eventstreams.check_consumers import check_consumers
    from server.canary.check_examples import check_examples
    from server.plausibility.check_fields import check_fields

    try:
        loaded = load(path, overrides, environ)
        examined = examine(loaded)
        found = [*examined.findings, *directories.check(loaded), *check_consumers(examined), *check_examples(examined)]
        found += check_fields(examined)
    except SettingsError as error:
        lines = [str(error), f"{len(str(error).splitlines())} error(s): these settings cannot be used."]
        errors = 1
    else:
        lines = [f"{finding.level}: {finding}" for finding in found]
        errors = len(errors_of(found))
        warnings = len(found) - errors
        lines += _ways(examined)
        lines.append(f"{_contents(examined)}: {errors} error(s), {warnings} warning(s).")
    with until_nobody_reads():
        print(*lines, sep="\n", file=sys.stdout if out is None else out)
    return EXIT_SETTINGS if errors else EXIT_DONE


def _contents(examined: Examined) -> str:
    name = examined.loaded.name
    if examined.snapshot is None or examined.schemas is None:
        return name
    if examined.snapshot.is_open:
        return f"{name}: any stream"
    streams = examined.snapshot.streams()
    titles = {stream.schema_title for stream in streams if stream.schema_title}
    versions = [count for title in titles if (count := len(examined.schemas.versions(title)))]
    return f"{name}: {len(streams)} streams, {len(versions)} schema titles, {sum(versions)} versions"


def _ways(examined: Examined) -> list[str]:
    """Return lines on how the schemas of streams judge: counts, and each schema that the quick way cannot take, with
    the reason."""
    if examined.schemas is None or examined.snapshot is None:
        return []
    titles = sorted({stream.schema_title for stream in examined.snapshot.streams() if stream.schema_title})
    ways = examined.schemas.ways(titles)
    if not ways:
        return []
    counts = Counter(kind for _, kind, _ in ways)
    slow = "is validated by the reference alone, not in one pass"
    lines = [f"info: {uri} {slow}: {reason}" for uri, kind, reason in ways if kind == "reference"]
    summary = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
    return [*lines, f"schema versions by how events are validated: {summary}"]
