"""Make the settings: file, then environment, then command line.

Place: the commands → HERE → everything, as one frozen Config.
Rules: every problem is reported at once. Relative paths are relative to the file that is read. Without a file (the
embedded default) they are relative to the working directory, where ``var/`` is made; the packaged example's own schemas
and streams are found next to it, inside the package.
Not here: reading streams and schemas (boot.examine).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from server.config.framework import document as documents
from server.config.framework import shape
from server.config.framework.document import Key, KeyPath, SettingsDocument
from server.config.framework.finding import Finding, errors_of, text_of
from server.config.framework.judge import judge
from server.config.framework.overrides import from_environment, from_options
from server.config.framework.section import Section
from server.config.kafka import files as kafka_files
from server.config.limit_settings import of_profile
from server.config.program import PENSTOCK
from server.config.rules import breaches
from server.config.settings import Config
from server.config.sink_settings import SinkSettings
from server.errors import SettingsError

EXAMPLE = Path(__file__).parent.parent / "examples" / "settings.yaml"


class Loaded:
    """Settings that can be used. ``findings`` holds only warnings, because errors have ended the start."""

    __slots__ = ("_document", "base_dir", "config", "findings", "lines", "name")

    def __init__(self, config: Config, base_dir: Path, document: SettingsDocument, findings: list[Finding]) -> None:
        self.config = config
        self.base_dir = base_dir
        self.name = document.name
        self.lines: dict[KeyPath, int] = document.lines
        self.findings = findings
        self._document = document

    def path(self, text: str) -> Path:
        """Return a path of the settings as an absolute path."""
        return self.base_dir / text

    def is_written(self, *path: Key) -> bool:
        """Whether any source sets the value, so that it is not the default by silence."""
        return bool(self._document.written(path))

    def origin(self, *path: Key) -> tuple[str, int]:
        """Return file and line (or variable or option, and 0) of a setting, for messages."""
        return self._document.origin(path)


def load(path: Path | None, overrides: Sequence[str], environ: Mapping[str, str]) -> Loaded:
    """Read all sources. Raises SettingsError, whose text has one line for each finding."""
    document = documents.read(path) if path is not None else _embedded()
    base_dir = path.absolute().parent if path is not None else Path.cwd()
    findings: list[Finding] = []
    for found, wrong in (from_environment(environ, PENSTOCK), from_options(overrides, PENSTOCK)):
        findings += wrong
        for override in found:
            document.put(override.path, override.value, override.name)
    config, found_in_document = judged(document)
    findings += found_in_document
    wrong_ones = errors_of(findings)
    if wrong_ones or config is None:
        raise SettingsError(text_of(wrong_ones))
    return Loaded(_with_files(config, base_dir, document), base_dir, document, findings)


def judged(document: SettingsDocument) -> tuple[Config | None, list[Finding]]:
    """Return the config and its faults; None when a single value is wrong, so that no config can be made."""
    if findings := judge(document, PENSTOCK):
        return None, findings
    config = msgspec.convert(of_profile(_without_empty(document.value, Config)), Config)
    return config, breaches(config, document)


def _embedded() -> SettingsDocument:
    document = documents.read(EXAMPLE)
    for section, name in (("schemas", "base_uris"), ("streams", "sources")):
        beside = document.value[section][name]
        document.value[section][name] = [str(EXAMPLE.parent / text) for text in beside]
    return document


def _without_empty(value: dict[str, Any], section: type[Section]) -> dict[str, Any]:
    """Drop empty sections: ``http:`` with nothing below it is null in YAML, and means the defaults."""
    kept = {}
    for name, inner in value.items():
        below = shape.section_of(shape.fields(section)[name])
        if below is None:
            kept[name] = inner
        elif inner is not None:
            kept[name] = _without_empty(inner, below)
    return kept


def _with_files(config: Config, base_dir: Path, document: SettingsDocument) -> Config:
    """Return the config with the values of ``sink.kafka_files`` read, and absolute paths of the files in
    ``sink.kafka``."""
    read = kafka_files.resolved(config.sink.kafka, base_dir)
    if not read and not config.sink.kafka_files:
        return config
    findings = []
    for name, text in config.sink.kafka_files.items():
        try:
            read[name] = (base_dir / text).read_text(encoding="utf-8-sig").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            file, line = document.origin(("sink", "kafka_files", name))
            reason = f"{base_dir / text} cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8 text'}"
            key = f"sink.kafka_files.{name}"
            findings.append(Finding(level="error", file=file, line=line, key=key, reason=reason))
    if findings:
        raise SettingsError(text_of(findings))
    sink: SinkSettings = msgspec.structs.replace(config.sink, kafka={**config.sink.kafka, **read})
    return msgspec.structs.replace(config, sink=sink)
