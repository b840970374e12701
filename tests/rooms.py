"""The rules of the rooms: which folders there are, how full they are, and that imports between them go one way.

Place: test_layout applies them to the project, and to small trees that break them.
Rule: a room is a folder directly below ``server`` or ``validators``, with the folders inside it (``http/around`` is
part of ``http``); a file that lies directly in ``server`` or ``validators`` is a room of its own.
Not here: the rules of a single module (layout).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from tests.layout import Found, Module, is_within

MOST_FILES = 20
PRODUCT = ("server", "eventstreams", "validators", "soak", "processors")
# On the ground floor: every room may import these, and none of them imports a room that is not one of them.
GROUND = {
    "server.compiled",
    "server.errors",
    "server.identity",
    "server.log",
    "server.paths",
    "server.version",
    "server.host",
    "server.text",
}


def room_of(name: str) -> str:
    """``server.http.around.cors`` → ``server.http``; ``server.log`` → ``server.log``."""
    return ".".join(name.split(".")[:2])


def arrows(modules: Iterable[Module]) -> dict[str, dict[str, str]]:
    """Room → room that it imports at run time → where, for one example."""
    known = [module for module in modules if module.name.split(".")[0] in PRODUCT]
    names = {module.name for module in known}
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for module in known:
        for imported, line in module.runtime_imports:
            if imported in names and room_of(imported) != room_of(module.name):
                found[room_of(module.name)].setdefault(room_of(imported), f"{module.path}:{line}")
    return found


def check_rings(modules: Iterable[Module]) -> Iterator[Found]:
    """No room imports itself by way of others."""
    graph = arrows(modules)
    done: set[str] = set()

    def walk(room: str, above: tuple[str, ...]) -> Iterator[Found]:
        if room in above:
            ring = (*above[above.index(room) :], room)
            yield Found("rings", graph[ring[0]][ring[1]], " → ".join(ring))
        elif room not in done:
            for other in sorted(graph.get(room, ())):
                yield from walk(other, (*above, room))
            done.add(room)

    for room in sorted(graph):
        yield from walk(room, ())


def check_fullness(modules: Iterable[Module]) -> Iterator[Found]:
    """No folder holds more than MOST_FILES files of code."""
    counts = Counter(
        module.path.rpartition("/")[0]
        for module in modules
        if module.name.split(".")[0] in PRODUCT and not module.path.endswith("__init__.py")
    )
    for folder, count in counts.items():
        if count > MOST_FILES:
            yield Found("fullness", folder, f"{count} files: which of them are a room of their own?")


def check_ways(modules: Iterable[Module]) -> Iterator[Found]:
    """The ground floor imports no room, config no sibling, and nothing but ``__main__`` a command."""
    for module in modules:
        for imported, line in module.runtime_imports:
            where, room = f"{module.path}:{line}", room_of(imported)
            is_above_ground = is_within(imported, "server") and imported != "server" and room not in GROUND
            if room_of(module.name) in GROUND and is_above_ground:
                yield Found("ways", where, f"{module.name} lies on the ground floor and imports {room}")
            if is_within(module.name, "server.config") and is_above_ground and room != "server.config":
                yield Found("ways", where, f"config imports {room}: any program must be able to read its settings")
            is_command = is_within(imported, "server.commands") and imported != "server.commands"
            is_product = module.name.split(".")[0] in PRODUCT
            is_allowed = module.name == "server.__main__" or is_within(module.name, "server.commands")
            if is_command and is_product and not is_allowed:
                yield Found("ways", where, f"{module.name} imports a command: what it needs of it belongs into boot")
            is_own = is_within(module.name, "eventstreams")
            if is_within(imported, "eventstreams") and is_product and not is_own and not is_allowed:
                yield Found("ways", where, f"{module.name} imports eventstreams, which stands on the server")
            if is_within(imported, "soak") and is_product and not is_within(module.name, "soak") and not is_allowed:
                yield Found("ways", where, f"{module.name} imports soak, which judges the service from outside")
            is_of_server = is_within(module.name, "server") or is_within(module.name, "validators")
            if is_within(imported, "processors") and is_of_server and not is_allowed:
                yield Found("ways", where, f"{module.name} imports processors, which stand behind the intake")


def check_harness(modules: Iterable[Module]) -> Iterator[Found]:
    """Tests and benches share tests.harness; nothing there imports either of them, and benches import no other test."""
    for module in modules:
        for imported, line in module.runtime_imports:
            is_shared = is_within(imported, "tests.harness") or imported == "tests"
            is_of_tests = is_within(imported, "tests") and not is_shared
            is_harness = is_within(module.name, "tests.harness")
            if is_of_tests and (is_harness or is_within(module.name, "bench")):
                yield Found(
                    "harness", f"{module.path}:{line}", f"{module.name} imports {imported}: share it in tests.harness"
                )
            if is_harness and is_within(imported, "bench"):
                yield Found("harness", f"{module.path}:{line}", f"{module.name} imports {imported}")


RULES = (check_rings, check_fullness, check_ways, check_harness)
