"""``penstock import-eventgate``: convert the settings of an EventGate to ours, and list those without a counterpart.

Place: a command of its own. It takes EventGate's config.yaml (of service-runner: ``services[0].conf``), the values of
Wikimedia's chart (``main_app.conf``), or a bare ``conf``.
Rules: no setting is dropped silently; a value that may be a secret is in no message; the result can be loaded, or else
the exit code is 1 and the reason is printed.
Not here: the counterpart of each setting (eventgate_keys), whether streams and schemas exist (``penstock check``).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from server.commands.support import eventgate_keys as keys
from server.commands.support.output import say, until_nobody_reads
from server.config.framework import document
from server.config.framework.document import KeyPath, SettingsDocument, dotted
from server.config.framework.finding import errors_of
from server.config.kafka import files as kafka_files
from server.config.kafka import settings as kafka_settings
from server.config.kafka.rules import canonical
from server.config.load import judged
from server.config.settings import Config
from server.errors import EXIT_DONE, EXIT_FOUND, UsageError

HEAD = "# Made from {name} by `penstock import-eventgate`. Run `penstock check -c` on it, and read its findings.\n"
CHART = "belongs to the chart: deploy/helm/penstock has values of its own"
NESTED = ("logging", "kafka", "stream_config_uri_options")  # Each member of these is a setting of its own.
TOGETHER = ("port", "interface", "max_body_size", "stream_config_ttl", "user_agent")  # Converted together, at the end.
KAFKA = ("kafka.conf", "kafka.topic_conf", "kafka.guaranteed", "kafka.hasty")
RELATIVE = "is relative to the settings file here, and was to EventGate's working directory"
SECURITY = ("security.", "sasl.", "ssl.", "enable.sasl.")  # Never dropped: the rest would connect in the clear.
MIN_BODY_BYTES = 1024
RUNNER = ("num_workers", "log_level", "name", "conf", "module", "entrypoint", "version")


class Item(NamedTuple):
    """One setting of EventGate: its dotted name, its place and its value."""

    name: str
    where: KeyPath
    value: Any


class Import:
    """The conversion of one file: ``settings`` are ours, ``notes`` tell the outcome of each setting."""

    def __init__(self, source: SettingsDocument) -> None:
        self.settings: dict[str, Any] = {}
        self.notes: list[str] = []
        self.is_usable = True
        self._source = source
        self._items = {item.name: item for item in self._find()}

    def run(self) -> None:
        """Convert everything."""
        for item in self._items.values():
            self._take(item)
        for name in ("schema_uri_query_param", "stream_query_param"):
            if name not in self._items:
                self._put(("intake", name), None)  # EventGate reads none by default; we do.
        self._listen()
        self._sizes()
        self._places()
        self._streams()
        self._kafka()
        self._of_chart()
        self.notes.append("http.trusted_proxies: name your proxies: EventGate believed X-Client-IP from every peer")
        if str(self.settings.get("service_name", "")).endswith("-external"):
            self.notes.append("profile: set `external` where unknown clients send: EventGate has no such limits")

    def _find(self) -> Iterator[Item]:
        """Yield every setting of EventGate and of its runner; note the members around them."""
        top = self._source.value
        at: KeyPath
        services = top.get("services")
        if isinstance(services, list) and services and isinstance(services[0], dict):
            inner, at = services[0], ("services", 0)
            yield from _items({key: value for key, value in top.items() if key != "services"}, ())
            for number in range(1, len(services)):
                self._note(("services", number), "is a second service: import each of them separately")
        elif isinstance(top.get("main_app"), dict):
            inner, at = top["main_app"], ("main_app",)
            yield Item("num_workers", (*at, "num_workers"), inner.get("num_workers", 1))
            if "log_level" in inner:
                yield Item("logging.level", (*at, "log_level"), inner["log_level"])
            for key in top:
                if key != "main_app":
                    self._note((key,), CHART)
        else:
            inner, at = (top, ()) if isinstance(top.get("conf"), dict) else ({"conf": top}, ())
        if inner.get("name") is not None:
            self._put(("service_name",), str(inner["name"]))
        for key in inner:
            if key == "stream_config":
                self._note((*at, key), "put it below `streams:` in a file of its own, and name that in streams.sources")
            elif key not in RUNNER:
                self._note((*at, key), CHART)
        if not isinstance(inner.get("conf"), dict):
            file, line = self._source.origin(at)
            raise document.refusal(file, line, "there is no `conf` with settings of EventGate", "name its config.yaml")
        yield from _items(inner["conf"], (*at, "conf") if inner["conf"] is not top else ())

    def _take(self, item: Item) -> None:
        name = item.name
        if name in keys.OFF and item.value in (None, False, ""):
            value, reason = keys.OFF[name]
            self._put(keys.SAME[name], value)
            if item.value is not value:
                self._note(item.where, reason)
        elif item.value is None and (name in keys.SAME or name in keys.CHANGED) and name != "cors":
            path = keys.SAME.get(name) or keys.CHANGED[name][0]
            self._note(item.where, f"is null and was not imported: the default of {dotted(path)} holds")
        elif name in keys.SAME:
            self._put(keys.SAME[name], item.value)
        elif name in keys.CHANGED:
            path, change = keys.CHANGED[name]
            try:
                self._put(path, change(item.value))
            except (TypeError, ValueError):
                self._note(item.where, f"could not be read and was not imported: see {dotted(path)}")
        elif name in keys.NONE:
            self._note(item.where, keys.NONE[name])
        elif name == "transforms":
            for one in item.value if isinstance(item.value, list) else [item.value]:
                reason = keys.TRANSFORMS.get(str(one), "is not built in, and there are no transforms of one's own")
                self._note(item.where, f"{one}: {reason}")
        elif name not in TOGETHER and not name.startswith("kafka."):
            self._note(item.where, "is not a known setting of EventGate and was not imported")

    def _listen(self) -> None:
        port, interface = self._value("port"), self._value("interface")
        if port is not None:
            host = interface or "0.0.0.0"
            self._put(("http", "listen"), [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"])
        elif interface is not None:
            self._note(self._items["interface"].where, "comes without a port: write http.listen yourself")

    def _sizes(self) -> None:
        """Convert the limits on bodies, and on single events, which EventGate leaves to Kafka."""
        defaults = Config().http.limits
        given = self._value("max_body_size")
        body = keys.bytes_of("100kb" if given is None else given)
        if body is None:
            self._note(
                self._items["max_body_size"].where, "could not be read as a size: see http.limits.max_body_bytes"
            )
            return
        if body < MIN_BODY_BYTES:
            reason = f"is {body} bytes: {MIN_BODY_BYTES} was written, the least that http.limits.max_body_bytes allows"
            self._note(self._items["max_body_size"].where, reason)
            body = MIN_BODY_BYTES
        limits = {
            "max_body_bytes": body,
            "max_event_bytes": min(self._message_bytes() or defaults.max_event_bytes, body),
        }
        if body > defaults.max_in_flight_bytes:
            limits["max_in_flight_bytes"] = 4 * body
        self._put(("http", "limits"), limits)

    def _message_bytes(self) -> int | None:
        return keys.bytes_of(self._properties().get("message.max.bytes", ""))

    def _streams(self) -> None:
        ttl = self._items.get("stream_config_ttl")
        sources = self.settings.get("streams", {}).get("sources", [])
        is_url = any("://" in one for one in sources)
        if ttl is not None and is_url and isinstance(ttl.value, int | float) and 0 < ttl.value <= 86_400:
            self._put(("streams", "refresh_s"), ttl.value)
        elif ttl is not None:
            self._note(ttl.where, "URLs are fetched again every streams.refresh_s (60 s), files on HUP")
        if not is_url and (headers := self.settings.get("streams", {}).pop("headers", None)) is not None:
            self._note(
                self._items["stream_config_uri_options.headers"].where, f"no URL needs the {len(headers)} headers"
            )
        if sources and not is_url:
            where = self._items["stream_config_uri"].where
            self._note(where, "became streams.sources: streams must stand below `streams:` in that file")

    def _properties(self) -> dict[str, Any]:
        """Return librdkafka's properties, as the guaranteed producer has them."""
        return {name: item.value for name, item in self._written_properties().items()}

    def _written_properties(self) -> dict[str, Item]:
        """Return the properties by their one name, each as it was written, with its place."""
        found: dict[str, Item] = {}
        for of_guaranteed in (False, True):
            for part in ("conf", "topic_conf"):
                item = self._items.get("kafka.guaranteed" if of_guaranteed else f"kafka.{part}")
                if item is None or not isinstance(item.value, dict):
                    continue
                where = (*item.where, part) if of_guaranteed else item.where
                given = item.value.get(part) if of_guaranteed else item.value
                for name, value in (given if isinstance(given, dict) else {}).items():
                    found[canonical(name)] = Item(name, (*where, name), value)
        return found

    def _kafka(self) -> None:
        """Convert each property that librdkafka and the promises of the service allow; note the reason for each other
        one."""
        given = self._written_properties()
        for name, item in self._items.items():
            if name.startswith("kafka.") and name not in KAFKA:
                self._note(item.where, "is not a known setting of EventGate and was not imported")
            elif name.startswith("kafka.") and not isinstance(item.value, dict | None):
                self._note(item.where, "is not a map of properties and was not imported")
            elif name in ("kafka.guaranteed", "kafka.hasty"):
                for inner in (item.value or {}).keys() - {"conf", "topic_conf"}:
                    reason = f"is no setting of EventGate and was not imported: properties stand below {name}.conf"
                    self._note((*item.where, inner), reason)
        if not given:
            self._put(("sink", "kind"), "sqlite")
            self.notes.append("sink.kind: no broker is named: events go into SQLite, as a development server's do")
            if (agent := self._items.get("user_agent")) is not None:
                self._note(agent.where, "is the name of a Kafka client: see sink.kafka, client.id")
            return
        ours = {}
        for name, item in given.items():
            if isinstance(item.value, str | int | float | bool | list):
                ours[name] = _text(item.value)
            else:
                self._note(item.where, "has no value that is a text, a number, true or false: it was not imported")
        if (name := self._value("user_agent")) is not None:
            ours.setdefault("client.id", str(name))
        at = self._items["kafka.conf"].where if "kafka.conf" in self._items else next(iter(self._items.values())).where
        for problem in kafka_settings.check_apart(ours, are_files_here=False):
            is_dropped = problem.name in ours and not problem.name.startswith(SECURITY)
            if is_dropped:
                del ours[problem.name]
            # What cannot be left out, or is missing, is refused in the result as well.
            self.is_usable = self.is_usable and (is_dropped or problem.is_warning)
            where = given[problem.name].where if problem.name in given else (*at, problem.name)
            self._note(where, f"{problem.reason}{'; ' if problem.hint else ''}{problem.hint}")
        self._put(("sink", "kind"), "kafka")
        self._put(("sink", "kafka"), ours)
        for name in sorted(kafka_files.NAMES & ours.keys()):
            self._file((*at, name), str(ours[name]))

    def _places(self) -> None:
        """Note relative paths: their base was EventGate's working directory, and is the settings file now."""
        for name, (section, setting) in (
            ("schema_base_uris", ("schemas", "base_uris")),
            ("stream_config_uri", ("streams", "sources")),
        ):
            for place in self.settings.get(section, {}).get(setting, ()):
                if "://" not in place and not Path(place).is_absolute():
                    self._note(self._items[name].where, f"{place} {RELATIVE}")

    def _file(self, where: KeyPath, path: str) -> None:
        """Note a relative path, or a file that is not on this machine. The service may run elsewhere."""
        if not Path(path).is_absolute():
            if path != "probe":
                self._note(where, f"{path} {RELATIVE}")
        elif not Path(path).exists():
            self._note(where, f"{path} is not on this machine: put it on the machine where the service runs")

    def _of_chart(self) -> None:
        """Note settings that a Helm chart adds to EventGate's file, and that are easily forgotten without it."""
        has_kafka = bool(self._properties())
        if "topic_prefix" not in self._items and has_kafka:
            reason = (
                "none is set: a chart adds one for its data centre (`eqiad.`), without which topics have other names"
            )
            self.notes.append(f"sink.topic_prefix: {reason}")
        if "max_body_size" not in self._items:
            size = self.settings["http"]["limits"]["max_body_bytes"]
            reason = f"{size} here, EventGate's own default: a chart sets max_body_size, 10mb or 4mb at Wikimedia"
            self.notes.append(f"http.limits.max_body_bytes: {reason}")
        if has_kafka and self._message_bytes() is None:
            limits = self.settings.get("http", {}).get("limits", {})
            size = limits.get("max_event_bytes", Config().http.limits.max_event_bytes)
            reason = (
                f"it is {size} here; charts set message.max.bytes, which limits events (Wikimedia: 4194304 or 1048576)"
            )
            self.notes.append(f"http.limits.max_event_bytes: {reason}")
        if "error_stream" not in self._items:
            reason = "it is not set; charts name <service>.error.validation, the default here once service_name is set"
            self.notes.append(f"intake.error_stream: {reason}")

    def _value(self, name: str) -> Any:
        item = self._items.get(name)
        return None if item is None else item.value

    def _put(self, path: keys.Path, value: Any) -> None:
        section = self.settings
        for name in path[:-1]:
            section = section.setdefault(name, {})
        section[path[-1]] = value

    def _note(self, where: KeyPath, reason: str) -> None:
        file, line = self._source.origin(where)
        self.notes.append(f"{file}:{line}: {dotted(where)}: {reason}")


def _items(settings: dict[str, Any], at: KeyPath) -> Iterator[Item]:
    for key, value in settings.items():
        if key in NESTED and isinstance(value, dict):
            yield from (Item(f"{key}.{inner}", (*at, key, inner), one) for inner, one in value.items())
        else:
            yield Item(str(key), (*at, key), value)


def _text(value: Any) -> Any:
    """Write a property as ours are written; a list of brokers becomes a text with commas."""
    return keys.brokers_of(value) if isinstance(value, list) else value


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("file", type=Path, metavar="FILE", help="its config.yaml, or values of its Helm chart")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write settings here; or standard output")
    parser.set_defaults(run=lambda options: run(options.file, options.output))


def run(path: Path, output: Path | None) -> int:
    """Write the settings to ``output`` or standard output, and the notes to standard error."""
    if output is not None and output.exists():
        raise UsageError(f"{output} is there already: name another file, or remove it")
    source = document.read(path, hint="name EventGate's config.yaml, or values of its chart")
    if not source.value:
        raise UsageError(f"{path} has no settings: name EventGate's config.yaml, or values of its chart")
    work = Import(source)
    work.run()
    text = HEAD.format(name=path.name) + yaml.safe_dump(work.settings, sort_keys=False, allow_unicode=True, width=110)
    if output is not None:
        output.touch(mode=0o600)  # It may hold a password, as the original may.
        output.write_text(text, encoding="utf-8")
    else:
        with until_nobody_reads():
            print(text, end="")
    _, found = judged(document.parse(text, str(output or "the result")))
    say("\n".join(map(str, [*work.notes, *found])))
    return EXIT_DONE if work.is_usable and not errors_of(found) else EXIT_FOUND
