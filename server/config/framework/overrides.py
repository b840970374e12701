"""Settings from the environment and the command line, which override the file.

Place: ``PENSTOCK_A__B=value`` and ``--set a.b=value`` → HERE → config.load.
Rules: the file, then the environment, then the command line. A value is YAML (a scalar, or a list or map in flow
style), but where only text is allowed it is taken as it stands, unless quoted; a secret is always taken as it stands. A
map given for a section is merged into it; an empty value is refused there, because a deployment's unset variable would
replace the values of the file, for example of ``auth``, by defaults. Below a free map such as ``sink.kafka`` the rest
of the path is one key: ``--set sink.kafka.bootstrap.servers=…``, ``PENSTOCK_SINK__KAFKA__BOOTSTRAP_SERVERS=…``. Every
variable whose name starts with ``PENSTOCK_`` must name a setting, except those that Kubernetes sets for a service named
``penstock…``.
Not here: judging values (config.framework.judge).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from server.config.framework import shape
from server.config.framework.document import dotted
from server.config.framework.finding import Finding
from server.config.framework.judge import nearest
from server.config.framework.program import Program
from server.config.framework.section import Section
from server.config.framework.yaml import LeadingZeroError, YamlError, load_yaml


class Override(Struct, frozen=True):
    """One value for one path; ``name`` is the variable or option, for messages. The repr shows no value."""

    path: tuple[str, ...]
    value: Any
    name: str

    def __repr__(self) -> str:
        return f"Override({dotted(self.path)} by {self.name})"


class _RefusedError(Exception):
    """A variable or option cannot be used. It holds the reason and a hint."""


def from_environment(environ: Mapping[str, str], program: Program) -> tuple[list[Override], list[Finding]]:
    """Return the overrides of the environment, wide ones first so that narrow ones win, and the findings."""
    given = []
    for variable in sorted(environ):
        if variable.startswith(program.prefix) and variable != program.prefix:
            segments = variable[len(program.prefix) :].lower().split("__")
            given.append((variable, segments, environ[variable]))
    given.sort(key=lambda one: len(one[1]))
    named = ((name, _from_variable(segments, program), text) for name, segments, text in given)
    overrides, findings = _collect(named, program)
    return overrides, [*findings, *_twice(overrides)]


def _twice(overrides: Iterable[Override]) -> Iterator[Finding]:
    """Yield a finding for variables whose names only differ in capitals, as the winner would be a matter of chance."""
    seen: dict[tuple[str, ...], str] = {}
    for one in overrides:
        if (before := seen.setdefault(one.path, one.name)) != one.name:
            reason = f"sets {dotted(one.path)}, as {before} does"
            yield Finding(level="error", file=one.name, reason=reason, hint="keep one of them")


def from_options(options: Iterable[str], program: Program) -> tuple[list[Override], list[Finding]]:
    """Return the overrides of ``--set``, in their order, and the findings."""
    given = []
    findings = []
    for option in options:
        path, equals, text = option.partition("=")
        if equals and path:
            given.append((f"--set {path}", path.split("."), text))
        else:
            hint = "write --set http.backlog=2048"
            findings.append(Finding(level="error", file="--set", reason="is not of the form a.b=value", hint=hint))
    overrides, more = _collect(given, program)
    return overrides, findings + more


def _collect(given: Iterable[tuple[str, list[str], str]], program: Program) -> tuple[list[Override], list[Finding]]:
    overrides: list[Override] = []
    findings: list[Finding] = []
    for name, segments, text in given:
        try:
            path, kind = _find(segments, program)
            overrides.append(Override(path, _read(text, kind, path, program), name))
        except _RefusedError as refused:
            if not program.is_foreign(name):
                reason, hint = refused.args
                findings.append(Finding(level="error", file=name, reason=reason, hint=hint))
    return overrides, findings


def _from_variable(segments: list[str], program: Program) -> list[str]:
    """Translate the segments below a free map, where a variable's underscores stand for dots or hyphens."""
    kind: Any = program.root
    for index, name in enumerate(segments):
        section = shape.section_of(kind)
        if section is None:
            return segments[:index] + [program.free_key(segments[0], part) for part in segments[index:]]
        kind = shape.fields(section).get(name)
        if kind is None:
            break
    return segments


def _find(segments: list[str], program: Program) -> tuple[tuple[str, ...], Any]:
    """Return the path that the segments name, and its type. Below a free map, the rest is one key."""
    kind: Any = program.root
    for index, name in enumerate(segments):
        path = tuple(segments[:index])
        section: type[Section] | None = shape.section_of(kind)
        if section is None:
            of_map = shape.map_of(kind)
            key = ".".join(segments[index:])
            if of_map is None or not key:
                raise _RefusedError(f"{dotted(path)} has no settings inside", f"it is {shape.describe(kind)}")
            return (*path, key), of_map
        if name not in shape.fields(section):
            raise _RefusedError(
                f"there is no setting {dotted((*path, name))}", nearest(name, section, path, program.root)
            )
        kind = shape.fields(section)[name]
    return tuple(segments), kind


def _read(text: str, kind: Any, path: tuple[str, ...], program: Program) -> Any:
    if program.is_verbatim(path):
        return text
    if shape.is_text_only(kind) and not text.startswith(('"', "'")):
        return None if shape.is_nullable(kind) and text in ("", "~", "null") else text
    try:
        value, _ = load_yaml(text, "", is_strict=True)
    except LeadingZeroError as error:
        if str in shape.alternatives(kind) and not text.lstrip().startswith(("{", "[")):
            return text
        reason, _, hint = error.reason.partition(": ")
        raise _RefusedError(f"the value for {dotted(path)} {reason}", hint) from None
    except YamlError:  # Its reason may quote the value, which may be a secret in a map.
        raise _RefusedError(f"the value for {dotted(path)} is not YAML", "put text in quotes: '\"…\"'") from None
    if value is None and shape.section_of(kind) is not None:
        reason = f"is empty, and {dotted(path)} is a section: defaults would replace all that the file says there"
        raise _RefusedError(reason, "unset it, or write a map: {}")
    # 007 and 1e3 are numbers to YAML, yet as a user name they must stay what was written.
    is_rewritten = type(value) in (int, float) and str(value) != text and str in shape.alternatives(kind)
    return text if is_rewritten else value
