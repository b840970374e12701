"""Render the reference page of all settings from the structs: ``python -m server.config.settings_page >
docs/SETTINGS.md``.

Place: config.settings → HERE → docs/SETTINGS.md; a test keeps the two equal.
Rule: this file names no single setting.
Not here: what a setting means (its description in config.settings).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from msgspec import inspect

from server.config.framework import shape
from server.config.framework.section import Section
from server.config.settings import Config

HEAD = """\
# Settings

<!-- Rendered from server/config/settings.py by `python -m server.config.settings_page`; edit that file instead. -->

One YAML 1.2 file (JSON is YAML), named by `-c`. Every key has a default; an unknown key is an error. Relative paths are
relative to the file or, without `-c`, to the working directory.

`<<: *anchor` merges as in YAML 1.1: a map's own keys win, then those of the earlier maps of a list. A number such as
010, which other readers of YAML take for 8, is an error, and so is the directive `%YAML 1.1`.

`PENSTOCK_A__B=value` in the environment overrides `a.b` of the file, and `--set a.b=value` overrides both. The value is
YAML; a map given for a section is merged into it, and an empty value is an error there. Where only text is allowed, and
for passwords and keys, the value is taken as it stands. Below a free map such as `sink.kafka` the rest of the path is
one key: `--set sink.kafka.bootstrap.servers=…`, `PENSTOCK_SINK__KAFKA__BOOTSTRAP_SERVERS=…`; below `headers` and
`intake.reports` an underscore of a variable is a hyphen. A variable that begins with `PENSTOCK_` and names no setting
is an error, except for `PENSTOCK_PURE` ([OPERATIONS.md](OPERATIONS.md)), and for those that Kubernetes makes for
services (`PENSTOCK_SERVICE_HOST`, `PENSTOCK_PORT_8192_TCP`, …).

Passwords and keys belong in the environment, or in files that `sink.kafka_files` names: their values are never shown.
"""

_UNITS = {"_per_s": "per second", "_bytes": "bytes", "_ms": "ms", "_s": "seconds"}


def render() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *_section(Config, ())])


def _section(section: type[Section], path: tuple[str, ...]) -> Iterator[str]:
    fields = shape.fields(section)
    yield f"## `{'.'.join(path)}`" if path else "## Top level"
    yield ""
    yield _about(section)
    yield ""
    yield "| setting | allowed | unit | default | meaning |"
    yield "|---|---|---|---|---|"
    for name, kind in fields.items():
        if shape.section_of(kind) is None:
            default = json.dumps(shape.default_of(section, name), ensure_ascii=False)
            cells = (f"`{name}`", shape.describe(kind), _unit(name), f"`{default}`", _meaning(kind))
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""
    for name, kind in fields.items():
        if inner := shape.section_of(kind):
            yield from _section(inner, (*path, name))


def _about(section: type[Section]) -> str:
    """Return the struct's docstring, joined into a paragraph; its code marks are those of reStructuredText."""
    return " ".join((section.__doc__ or "").replace("``", "`").split())


def _unit(name: str) -> str:
    return next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")


def _meaning(kind: Any) -> str:
    described = inspect.type_info(kind)
    extra = described.extra_json_schema if isinstance(described, inspect.Metadata) else None
    return str((extra or {}).get("description", ""))


if __name__ == "__main__":
    sys.stdout.write(render())
