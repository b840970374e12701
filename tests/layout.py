"""The rules of the source tree, each a function from one module to what is wrong in it.

Place: test_layout applies them to the project, and to small trees that break them.
Rule: a rule says file, line, what is wrong and what to do; an exception to a rule stands in a list with its reason.
Not here: which exceptions the project makes (test_layout).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

MAX_LINES = 400


class Found(NamedTuple):
    """One breach. ``where`` is ``path:line``."""

    rule: str
    where: str
    what: str


class Module:
    """One Python file: its path from the root, its text, its syntax tree."""

    def __init__(self, root: Path, path: Path) -> None:
        self.path = path.relative_to(root).as_posix()
        self.text = path.read_text(encoding="utf-8")
        self.lines = self.text.splitlines()
        self.tree = ast.parse(self.text)
        parts = self.path.removesuffix(".py").split("/")
        self.name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def runtime_imports(self) -> list[tuple[str, int]]:
        """Dotted names that importing or running this module imports, with lines; not those for type checkers alone."""
        return list(_imports(self.tree))

    @cached_property
    def functions(self) -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
        """Every function with its dotted name, and whether it is a mere declaration in a Protocol."""
        return list(_functions(self.tree, "", False))


def _imports(node: ast.AST) -> Iterator[tuple[str, int]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _imports(other)
        elif isinstance(child, ast.Import):
            yield from ((alias.name, child.lineno) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            # `from server import http` imports server.http: both readings are yielded.
            yield child.module or "", child.lineno
            yield from ((f"{child.module}.{alias.name}", child.lineno) for alias in child.names)
        else:
            yield from _imports(child)


def _functions(
    node: ast.AST, prefix: str, is_protocol: bool
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            bases = {ast.unparse(base).split("[")[0].rsplit(".", 1)[-1] for base in child.bases}
            yield from _functions(child, f"{prefix}{child.name}.", "Protocol" in bases)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{child.name}", child, is_protocol
            yield from _functions(child, f"{prefix}{child.name}.", False)
        else:
            yield from _functions(child, prefix, is_protocol)


def is_within(name: str, package: str) -> bool:
    """``server.http.request`` is within ``server.http``; ``server.https`` is not."""
    return name == package or name.startswith(package + ".")


# Who may not import what: (importer, imported, the way to do it instead).
APART = "worker.py joins them, by passing bound methods"
FORBIDDEN = [
    ("server.http", ("server.intake", "server.sink", "server.catalog", "server.schemas"), APART),
    ("server.intake", ("server.http", "server.sink"), APART),
    ("server.sink", ("server.http", "server.intake", "server.catalog", "server.schemas"), APART),
    ("server.catalog", ("server.http", "server.intake", "server.sink"), "it knows settings, nothing of who uses them"),
    (
        "server.master",
        (
            *("asyncio", "uvloop", "confluent_kafka", "threading", "validators", "server.schemas"),
            *("server.http", "server.intake", "server.sink", "server.catalog", "server.worker"),
        ),
        "the master forks, waits and signals; it gets what it needs through Generation",
    ),
    ("server.auth", ("server.http", "server.intake", "server.sink"), "it sees requests through Protocols of its own"),
    (
        "server.fetch",
        ("server.http", "server.intake", "server.sink", "server.worker"),
        "it knows what is at URLs, nothing of who uses it",
    ),
    (
        "server.admin",
        (
            "server.worker",
            "server.intake.receive",
            "server.intake.pipeline",
            "server.sink.kafka.producer",
            "confluent_kafka",
        ),
        "it looks at what is shared, and asks nobody",
    ),
    (
        "server.metrics",
        (
            *("server.worker", "server.admin", "server.intake.receive", "server.intake.pipeline"),
            *("server.sink.kafka.producer", "confluent_kafka", "prometheus_client"),
        ),
        "workers and the admin process load it: it names what counts in types alone",
    ),
    (
        "server.tracing",
        ("server.http", "server.intake", "server.sink", "server.worker"),
        "it sees requests and their answers, nothing of who serves them",
    ),
    (
        "server.filter",
        tuple(
            f"server.{room}"
            for room in ("admin", "catalog", "config", "http", "intake", "pages", "schemas", "shared", "sink", "worker")
        ),
        "programs give it their facts: it knows none of them",
    ),
    (
        "eventstreams",
        ("validators", "server.intake", "server.worker.process", "server.sink.kafka.producer", "aiohttp"),
        "it reads what the intake wrote, and shares no process with it",
    ),
    ("validators", ("server", "eventstreams"), "validators stands alone"),
]
VALIDATORS_IMPORTERS = ("server.schemas.repository", "server.schemas.judges", "server.config.framework.yaml")
AIOHTTP_IMPORTERS = (
    "server.fetch.client",
    "server.admin",
    "server.canary.post",
    "server.console.access",
    "server.console.answers",
    "server.console.routes",
    "server.console.tryout",
)  # Processes of their own.
TOKEN_IMPORTERS = ("server.auth.public_keys", "server.auth.tokens")
SPANS_IMPORTER = "server.tracing.spans"  # Which the extra alone makes work.


def check_imports(module: Module) -> Iterator[Found]:
    """Imports go one way."""
    for imported, line in module.runtime_imports:
        where = f"{module.path}:{line}"
        for importer, packages, instead in FORBIDDEN:
            if is_within(module.name, importer) and any(is_within(imported, package) for package in packages):
                yield Found("imports", where, f"{importer} imports {imported}: {instead}")
        is_ours = is_within(module.name, "server")
        if is_ours and is_within(imported, "validators") and module.name not in VALIDATORS_IMPORTERS:
            yield Found("imports", where, f"validators is imported in {' and '.join(VALIDATORS_IMPORTERS)} alone")
        is_for_http = is_within(imported, "aiohttp")
        if is_ours and is_for_http and not any(is_within(module.name, one) for one in AIOHTTP_IMPORTERS):
            yield Found("imports", where, f"aiohttp is imported in {' and '.join(AIOHTTP_IMPORTERS)} alone")
        is_for_tokens = is_within(imported, "jwt") or is_within(imported, "cryptography")
        if is_ours and is_for_tokens and module.name not in TOKEN_IMPORTERS:
            yield Found("imports", where, f"{imported} is imported in {' and '.join(TOKEN_IMPORTERS)} alone")
        if is_ours and is_within(imported, "opentelemetry") and module.name != SPANS_IMPORTER:
            yield Found("imports", where, f"opentelemetry is imported in {SPANS_IMPORTER} alone")


SECTIONS = (r"^Place:", r"^Rules?\b[^\n]*:", r"^Not here:")


def check_docstring(module: Module) -> Iterator[Found]:
    """Every module says what it is; those of the product also their place, their rule, and what is not there."""
    docstring = ast.get_docstring(module.tree)
    is_package = module.path.endswith("__init__.py")
    has_code = len(module.tree.body) > (docstring is not None)
    if is_package and not has_code:
        return
    if not docstring:
        yield Found("docstring", f"{module.path}:1", "a module begins with a docstring")
    elif not module.path.startswith("tests/"):
        for section in SECTIONS:
            if not re.search(section, docstring, re.MULTILINE):
                yield Found("docstring", f"{module.path}:1", f"the docstring lacks {section}")


def check_length(module: Module) -> Iterator[Found]:
    """No file is longer than MAX_LINES."""
    if len(module.lines) > MAX_LINES:
        yield Found("length", f"{module.path}:{MAX_LINES}", f"{len(module.lines)} lines: is it still one job?")


def check_silence(module: Module) -> Iterator[Found]:
    """No exception is passed over."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and all(_is_nothing(statement) for statement in node.body):
            yield Found("silence", f"{module.path}:{node.lineno}", "except …: pass hides what happened")


def _is_nothing(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def broad_excepts(module: Module) -> Iterator[tuple[str, int]]:
    """``path:function`` and line of each handler that catches everything, unless it ends by raising again."""
    for name, function, _ in module.functions:
        for node in _own_nodes(function):
            if isinstance(node, ast.ExceptHandler) and _is_broad(node) and not _raises_again(node):
                yield f"{module.path}:{name}", node.lineno
    for node in _own_nodes(module.tree):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node):
            yield f"{module.path}:", node.lineno


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions inside it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _own_nodes(child)


def _is_broad(handler: ast.ExceptHandler) -> bool:
    caught = handler.type
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(name is None or ast.unparse(name) in ("Exception", "BaseException") for name in names)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


COLD = re.compile(r"# cold: \S")
TIMERS = {"create_task", "ensure_future", "create_future", "call_later", "call_at", "run_coroutine_threadsafe"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
ALWAYS_LOGGING = {"warning", "exception", "critical"}


def is_hot(module: Module) -> bool:
    """A file says so itself: a line ``# hot path`` of its own at the top."""
    return any(line.strip() == "# hot path" for line in module.lines[:40])


def check_hot_path(module: Module) -> Iterator[Found]:
    """Per request: no task, no future, no coroutine, no timer, no closure, no partial, no log line."""
    if not is_hot(module):
        return
    cold = [node for _, node, is_declared in module.functions if is_declared or _is_cold(module, node)]
    spans = [(node.lineno, node.end_lineno or node.lineno) for node in cold]
    inner = {id(node) for name, node, _ in module.functions if _is_nested(module, name)}
    for _, function, _ in module.functions:
        for node in (function, *_own_nodes(function)):
            line = getattr(node, "lineno", function.lineno)
            what = _too_costly(node, id(node) in inner)
            if what and not any(first <= line <= last for first, last in spans):
                yield Found(
                    "hot path", f"{module.path}:{line}", f"{what}; a rare function says `# cold: why` on its def"
                )


def _is_cold(module: Module, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    head = module.lines[function.lineno - 1 : max(function.lineno, function.body[0].lineno - 1)]
    return any(COLD.search(line) for line in head)


def _is_nested(module: Module, name: str) -> bool:
    names = {other for other, _, _ in module.functions}
    return name.rpartition(".")[0] in names


def _too_costly(node: ast.AST, is_nested: bool) -> str | None:
    if isinstance(node, ast.AsyncFunctionDef):
        return "a coroutine"
    if isinstance(node, ast.FunctionDef):
        return "a function made inside a function" if is_nested else None
    if isinstance(node, ast.Lambda):
        return "a lambda"
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        receiver, _, last = called.rpartition(".")
        if last in TIMERS or called in ("asyncio.Future", "asyncio.Task"):
            return f"{last}()"
        if last == "partial":
            return "partial()"
        is_log = re.search(r"log|limited", receiver.rpartition(".")[2], re.IGNORECASE)
        if receiver and (last in ALWAYS_LOGGING or (last in LEVELS and is_log)):
            return f"a log line ({called})"
    return None


BANNED_FILES = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py", "manager.py"}
BANNED_CLASS = re.compile(r"Manager|Helper|^_?Base[A-Z]|^_?Base$")

GIVEN = {"data_received", "datagram_received"}  # asyncio names the argument. In tests Hypothesis does: st.data().


def check_names(module: Module) -> Iterator[Found]:
    """A name says what a thing is: no utils, Manager, Helper, Base*, data."""
    if module.path.rpartition("/")[2] in BANNED_FILES:
        yield Found("names", f"{module.path}:1", "a file is named for its one job")
    theirs = {id(arg) for _, function, _ in module.functions if function.name in GIVEN for arg in function.args.args}
    for node in ast.walk(module.tree):
        is_given = id(node) in theirs or module.path.startswith("tests/")
        if isinstance(node, ast.ClassDef) and BANNED_CLASS.search(node.name):
            yield Found("names", f"{module.path}:{node.lineno}", f"{node.name}: name what it is")
        if _names_data(node) and not is_given:
            yield Found("names", f"{module.path}:{getattr(node, 'lineno', 0)}", "`data`: name what it is")


def _names_data(node: ast.AST) -> bool:
    if isinstance(node, ast.arg):
        return node.arg == "data"
    if isinstance(node, ast.Name):
        return node.id == "data" and isinstance(node.ctx, ast.Store)
    if isinstance(node, ast.Attribute):
        return node.attr == "data" and isinstance(node.ctx, ast.Store)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == "data"


# Written so that this file does not hold what it looks for.
PRIVATE_TEXT = [
    (re.compile(r"/w[o]rk/|/f[a]rm/|/tmp/b[r]ief|/ro[o]t/"), "a path of one machine"),
    (re.compile(r"^\s*-{0,2}(extra-)?(index-url|find-links)[ =:]", re.MULTILINE), "where packages come from"),
    (re.compile(r"p[y]pi\.org|pythonh[o]sted\.org|registry\.npm[j]s|repo\d?\.mav[e]n\."), "an address of a registry"),
]


def check_text(path: str, text: str) -> Iterator[Found]:
    """No path of a workplace and no address of a registry is in a tracked file."""
    for pattern, what in PRIVATE_TEXT:
        for match in pattern.finditer(text):
            yield Found("text", f"{path}:{text.count(chr(10), 0, match.start()) + 1}", f"{what}: {match[0].strip()}")


RULES: list[Callable[[Module], Iterator[Found]]] = [
    check_imports,
    check_docstring,
    check_length,
    check_silence,
    check_hot_path,
    check_names,
]
