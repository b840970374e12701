"""The state of the service at a glance: one JSON object for programs, and the same as a page for people.

Place: admin.view → HERE → admin.pages.
Rules: secrets of the settings are in neither. All text of the page is escaped.
Not here: numbers over time (admin.collect).
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from server.admin.view import HostView, process_of
from server.intake.verdict import INVALID_TYPES
from server.metrics.declare import NO_LABELS
from server.shared.row import WorkerRow
from server.sink.kafka.statistics import GAUGES, SUMS
from server.version import VERSION

if TYPE_CHECKING:
    from server.admin.view import Shared

_PAGE = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>Penstock</title>
<style>body{{font:14px/1.5 system-ui,sans-serif;margin:2em}}table{{border-collapse:collapse;margin:0 0 1.5em}}
td,th{{text-align:left;padding:.1em 1.2em .1em 0;vertical-align:top;font-variant-numeric:tabular-nums}}
th{{color:#555;font-weight:normal}}h2{{font-size:1em;margin:1em 0 .2em}}</style>
<h1>Penstock {version}: {state}</h1>{body}
<p><a href="metrics">metrics</a> · <a href="stacks">stacks</a> · <a href="log-level">log-level</a></p>
"""


MAX_STREAMS = 20
_SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def status(shared: Shared) -> dict[str, Any]:
    """Return the whole state."""
    view = shared.look()
    states = view.states()
    said = {
        "version": VERSION,
        "state": "ready" if states["ready"] else "draining" if states["draining"] else "not ready",
        "service_name": view.config.service_name,
        "master": _process(shared.master_pid),
        "settings_age_s": round(view.now_s - shared.board.notices.reloaded_s, 1),
        "reloads": shared.board.notices.reloads(),
        "deaths": shared.board.notices.deaths(),
        "log_level": shared.board.notices.level or view.config.log.level,
        "workers": [_worker(view, at, row) for at, row in enumerate(view.workers)],
        "companions": [_companion(view, row) for row in view.rows if row.slot < 0],
        "streams": _streams(view),
    }
    return said | (_intake(view) if _is_intake(view) else _counts(view))


def _is_intake(view: HostView) -> bool:
    return "penstock_events_received" in view.table.sums


def _counts(view: HostView) -> dict[str, Any]:
    """Return the counts without labels of a program that is not the intake, by the names of its metrics."""
    sums = {name: view.total(name) for name, source in view.table.sums.items() if source.cells == NO_LABELS}
    gauges = {
        name: view.gauge(name) / source.scale for name, source in view.table.gauges.items() if not source.is_by_slot
    }
    return {"counts": {name.removeprefix("penstock_"): number for name, number in (sums | gauges).items()}}


def _intake(view: HostView) -> dict[str, Any]:
    pending, age_s = view.spool()
    return {
        "busiest_streams": _busiest(view),
        "events": {
            "received": view.total("penstock_events_received"),
            "accepted": _booked(view, "accepted"),
            "delivered": _booked(view, "delivered"),
            "invalid": _invalid(view),
            "in_flight": view.gauge("penstock_events_in_flight"),
            "unaccounted": view.gauge("penstock_events_unaccounted"),
        },
        "spool": {
            "events": pending,
            "oldest_age_s": round(age_s, 1),
            "bytes": view.gauge("penstock_spool_bytes"),
            "max_bytes": view.config.spool.max_bytes,
        },
        "sink": {
            "kind": view.config.sink.kind,
            "outstanding": view.gauge("penstock_sink_outstanding_events"),
            "workers_without_broker": view.gauge("penstock_sink_away_workers"),
            "workers_throttled": view.gauge("penstock_sink_throttled_workers"),
        },
        "brokers": _brokers(view),
    }


def page(said: Mapping[str, Any]) -> str:
    """Return the state as a page."""
    plain = {name: value for name, value in said.items() if not isinstance(value, dict | list)}
    parts = [_table([plain])]
    for name, value in said.items():
        if isinstance(value, dict):
            parts.append(f"<h2>{_text(name)}</h2>{_table([value])}")
        elif isinstance(value, list) and value:
            parts.append(f"<h2>{_text(name)}</h2>{_table(value)}")
    return _PAGE.format(version=_text(said["version"]), state=_text(said["state"]), body="".join(parts))


def _table(rows: Iterable[Mapping[str, Any]]) -> str:
    lines = list(rows)
    names = list(dict.fromkeys(name for row in lines for name in row))
    if len(lines) == 1:
        cells = (f"<tr><th>{_text(name)}<td>{_shown(name, lines[0][name])}" for name in names)
        return f"<table>{''.join(cells)}</table>"
    head = "".join(f"<th>{_text(name)}" for name in names)
    return f"<table><tr>{head}{''.join(_line(row, names) for row in lines)}</table>"


def _line(row: Mapping[str, Any], names: list[str]) -> str:
    return "<tr>" + "".join(f"<td>{_shown(name, row.get(name, ''))}" for name in names)


def _shown(name: str, value: Any) -> str:
    """Return a value as text; bytes in the largest unit of which there is one."""
    if isinstance(value, int | float) and (name == "bytes" or name.endswith("_bytes")):
        return next((f"{value / size:.3g} {unit}" for size, unit in _SIZES if value >= size), f"{value} B")
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{_text(name)} {_shown(name, one)}" for name, one in value.items())
    if isinstance(value, list):
        return "; ".join(map(_text, value))
    return html.escape(str(value))


def _process(pid: int) -> dict[str, Any]:
    found = process_of(pid)
    return {"pid": pid, "uptime_s": round(found.uptime_s, 1), "resident_bytes": found.resident_bytes}


def _booked(view: HostView, name: str) -> int:
    """Return a count of the ledger, over all streams."""
    return sum(numbers[name] for numbers in view.ledger.values())


def _busiest(view: HostView) -> list[dict[str, Any]]:
    """Return the streams with the most accepted events, with the rate since an earlier look."""
    rates = view.shared.rates.of(view.now_s, {stream: counts["accepted"] for stream, counts in view.ledger.items()})
    busiest = sorted(view.ledger.items(), key=lambda one: (-one[1]["accepted"], one[0]))[:MAX_STREAMS]
    return [
        {
            "stream": stream,
            "accepted": counts["accepted"],
            "accepted_per_s": round(rates.get(stream, 0.0), 1),
            "delivered": counts["delivered"],
            "spooled": counts["spooled"],
        }
        for stream, counts in busiest
    ]


def _invalid(view: HostView) -> int:
    return sum(number for (name,), number in view.cells("penstock_events_rejected") if name in INVALID_TYPES)


def _worker(view: HostView, at: int, row: WorkerRow) -> dict[str, Any]:
    return {
        "slot": row.slot,
        "generation": row.generation,
        "state": row.state.name.lower(),
        **_process(row.pid),
        "beat_age_s": round(view.beat_age_s(row), 3),
        "loop_lag_s": view.gauge_of(at, "penstock_worker_loop_lag_seconds") / 1e6,
        "connections": row.connections,
        **({"outstanding": view.gauge_of(at, "penstock_sink_outstanding_events")} if _is_intake(view) else {}),
        "snapshot": _digest(row),
    }


def _companion(view: HostView, row: WorkerRow) -> dict[str, Any]:
    return {
        "name": view.name_of(row),
        "generation": row.generation,
        "state": row.state.name.lower(),
        **_process(row.pid),
        "beat_age_s": round(view.beat_age_s(row), 3),
    }


def _digest(row: WorkerRow) -> str:
    """Return the beginning of the snapshot's digest, as the log and /_info show it."""
    head = row.streams[0]
    return f"{head:015x}"[:12] if row.streams[1] else ""


def _streams(view: HostView) -> dict[str, Any]:
    snapshot, link = view.shared.snapshot, view.shared.link
    said: dict[str, Any] = {"declared": len(snapshot.names()), "is_open": snapshot.is_open}
    found = {_digest(row): view.now_s - row.streams[1] / 1000 for row in view.workers if row.streams[1]}
    said["snapshots"] = [{"digest": digest, "age_s": round(age_s, 1)} for digest, age_s in found.items()]
    if link.urls:
        said["sources"] = [
            {"good_age_s": round(one.good_age_s, 1), "failing_s": round(one.failing_s, 1), "failures": one.failures}
            for one in link.health.all()
        ]
    return said


def _brokers(view: HostView) -> list[dict[str, Any]]:
    return list(_broker_lines(view))


def _broker_lines(view: HostView) -> Iterator[dict[str, Any]]:
    brokers = view.shared.board.kinds.brokers
    sums = view.brokers
    for number, every in brokers.gauges().items():
        line: dict[str, Any] = {"broker": number}
        for at, name in enumerate(GAUGES):
            values = [gauges[at] for gauges in every]
            line[name] = sum(values) if name in ("is_up", "queued", "waiting") else max(values)
        yield line | dict(zip(SUMS, sums.get(number, []), strict=False))
