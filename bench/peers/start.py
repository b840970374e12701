"""Build and start the peers by name, and say which work each of them cannot do.

Place: suite, latency → HERE → servers.Child.
Rules: a peer that cannot be had here says why in ``missing``; who runs benches prints that, and goes on without it.
What is built goes to ``build/peers``, which git ignores. Versions are pinned in each peer's folder; lock files that
name a registry are not kept.
Every peer is called with PORT BROKERS SCHEMAS (a JSON file, URI → schema) and does what README.md in this folder says.
Not here: when they are started, and what is measured.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench import servers
from bench.events import ROOT, Workload
from bench.servers import SERVER_CORES, Child
from bench.works import Work

FOLDER = Path(__file__).parent
BUILD = ROOT / "build" / "peers"
BUILD_S = 1800.0


class Peer(NamedTuple):
    """``command`` gives program and first arguments, "" is this Python with ``-m``; ``tools`` are what it needs."""

    title: str
    command: Callable[[], tuple[str, list[str]]]
    tools: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    build: tuple[tuple[str, ...], ...] = ()
    is_silent: bool = False  # Answers, and produces nothing.


def _module(name: str) -> Callable[[], tuple[str, list[str]]]:
    return lambda: ("", [name])


def _built(path: str, *first: str) -> Callable[[], tuple[str, list[str]]]:
    program = first[0] if first else str(BUILD / path)
    return lambda: (program, [str(BUILD / path)] if first else [])


PEERS = {
    "bare": Peer("bare: uvloop + httptools, 204", _module("bench.peers.bare"), is_silent=True),
    "nginx": Peer("nginx: return 204", _module("bench.peers.nginx"), tools=("nginx",), is_silent=True),
    "intake": Peer("Penstock", _module("server")),
    "pure": Peer("Penstock, interpreted", _module("server")),
    "naive": Peer("naive: uvloop + httptools + fastjsonschema", _module("bench.peers.naive")),
    "fastapi": Peer(
        "FastAPI + uvicorn + confluent-kafka",
        _module("bench.peers.fastapi.app"),
        modules=("fastapi", "uvicorn", "jsonschema_rs"),
    ),
    "node": Peer(
        "Node: Fastify + ajv + kafkajs",
        _built("node/server.mjs", "node"),
        tools=("node", "npm"),
        build=(("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent"),),
    ),
    "go": Peer(
        "Go: net/http + franz-go + santhosh-tekuri/jsonschema",
        _built("go/peer"),
        tools=("go",),
        build=(("go", "build", "-p", "1", "-o", "peer", "."),),
    ),
    "rust": Peer(
        "Rust: axum + rdkafka + jsonschema",
        _built("rust/target/release/peer"),
        tools=("cargo", "cc", "make"),
        build=(("cargo", "build", "--release", "--quiet", "-j1"),),
    ),
}

OURS = ("intake", "pure")


def missing(name: str) -> str:
    """Why a peer cannot be had here; "" when it can."""
    peer = PEERS[name]
    tools = [tool for tool in peer.tools if tool_path(tool) is None]
    modules = [module for module in peer.modules if importlib.util.find_spec(module) is None]
    if tools:
        return f"no {' and no '.join(tools)}"
    return f"no {' and no '.join(modules)}: make bench-venv installs them" if modules else ""


def build(name: str) -> str:
    """Build a peer from its pinned parts, unless that is done. "" or what went wrong."""
    peer, place = PEERS[name], BUILD / name
    if not peer.build:
        return ""
    sources = sorted(path for path in (FOLDER / name).rglob("*") if path.is_file())
    stamp = "\n".join(f"{path.relative_to(FOLDER)}\n{path.read_text(encoding='utf-8')}" for path in sources)
    if (place / "built").is_file() and (place / "built").read_text(encoding="utf-8") == stamp:
        return ""
    shutil.copytree(FOLDER / name, place, dirs_exist_ok=True)
    for command in peer.build:
        done = subprocess.run(
            ["nice", *command], cwd=place, check=False, capture_output=True, text=True, timeout=BUILD_S
        )
        if done.returncode:
            return f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}"
    (place / "built").write_text(stamp, encoding="utf-8")
    return ""


def takes(name: str, work: Work) -> bool:
    """Whether a peer can be given this work. An empty answer to a batch says nothing per event."""
    if produces(name):
        return name in OURS or not work.is_ours_alone
    return work.batch == 1 and work.form == "json"


def produces(name: str) -> bool:
    """Whether it hands anything to brokers."""
    return not PEERS[name].is_silent


def _plain(schema: Any) -> Any:
    """Without what only says where it is from: half of the validators stumble over "https" in draft-07's name, or over
    a part that is there twice. Properties of these names have schemas, not strings."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    named = {"$schema", "$id", "examples"}
    return {name: _plain(one) for name, one in schema.items() if name not in named or isinstance(one, dict)}


def peer(name: str, port: int, brokers: str, workloads: Sequence[Workload], directory: Path, label: str = "") -> Child:
    """Start one on its core; it takes the events of ``workloads``."""
    label = label or name
    if name in OURS:
        return servers.intake(port, brokers, workloads[0], directory, name=label, is_pure=name == "pure")
    program, arguments = PEERS[name].command()
    if not produces(name):
        return Child(label, [*arguments, str(port)], SERVER_CORES, directory, program=program)
    schemas = directory / f"{label}.schemas.json"
    schemas.write_text(json.dumps({uri: _plain(one) for work in workloads for uri, one in work.schemas().items()}))
    return Child(label, [*arguments, str(port), brokers, str(schemas)], SERVER_CORES, directory, program=program)


def versions() -> dict[str, str]:
    """Of the tool chains that are here."""
    asked = {"node": "--version", "go": "version", "cargo": "--version", "nginx": "-v", "oha": "--version"}
    found = {}
    for tool, option in asked.items():
        program = tool_path(tool)
        if program:
            done = subprocess.run([program, option], check=False, capture_output=True, text=True, timeout=10)
            found[tool] = (done.stdout + done.stderr).strip()
    return found


def tool_path(name: str) -> str | None:
    """Where a program is: on the path, where administrators have theirs, or where it was built for the benches."""
    places = (os.environ.get("PATH", ""), "/usr/sbin", str(ROOT / "build" / name / "bin"))
    return shutil.which(name, path=":".join(places))
