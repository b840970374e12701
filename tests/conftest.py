"""What every test may use, and the last line of a run: which Kafka it ran on.

Rule: a test that needs a real Kafka and cannot have it is skipped with the reason; with REQUIRE_KAFKA=1 a run in which
that happened, or in which no test met a real Kafka, has failed. A run of what failed before (``--last-failed``) may
consist of tests that need none.
Not here: the brokers themselves (tests/kafka).
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from server.compiled import finder

ROOT = Path(__file__).parent.parent
CORPUS = ROOT.parent / "shared" / "corpus"
EXAMPLES = ROOT / "server" / "examples"

# The clock of a shared machine says nothing about the code: no deadlines per example. The quick ones are the same each
# time: a change is judged by what it changes, and new examples are looked for on purpose (make test-all, make fuzz).
settings.register_profile(
    "quick", deadline=None, max_examples=100, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=3000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

REQUIRE_KAFKA = os.environ.get("REQUIRE_KAFKA") == "1"
REAL_KAFKA_FIXTURE = "kafka_node"
RED = (
    "FAILED names a test whose claim does not hold, ERROR one whose preparation failed. Run one alone with\n"
    'make test ARGS="tests/…/test_….py -k name". One that fails only in a whole run is a fault as well: report it.'
)
LACK = (
    "no real Kafka: "  # How that fixture begins to say why it skips. A skip for another reason is not a lack of Kafka.
)


def pytest_report_header() -> str:
    return f"the hot path is {finder.mode()}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what replaces parts that compiled code does not look up."""
    if finder.mode().name == finder.COMPILED:
        for item in items:
            for marker in item.iter_markers("interpreted"):
                item.add_marker(pytest.mark.skip(reason=f"interpreted only: {marker.kwargs['reason']}"))


def kafka_version() -> str:
    """The version that deploy/kafka starts."""
    pom = (ROOT / "deploy" / "kafka" / "pom.xml").read_text(encoding="utf-8")
    found = re.search(r"<artifactId>kafka_[\d.]+</artifactId>\s*<version>([^<]+)<", pom)
    return found[1] if found else "of deploy/kafka/pom.xml"


class KafkaTally:
    """Counts the tests that need a real Kafka, by what became of them."""

    def __init__(self, is_rerun: bool) -> None:
        self.ran: set[str] = set()
        self.skipped: dict[str, str] = {}
        self._is_rerun = is_rerun

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Mark by the fixture that they ask for, so that nobody can forget the mark."""
        for item in items:
            if REAL_KAFKA_FIXTURE in getattr(item, "fixturenames", ()):
                item.add_marker("kafka")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Look at each phase of each test."""
        report = yield
        if item.get_closest_marker("kafka"):
            if report.skipped and isinstance(report.longrepr, tuple):
                reason = report.longrepr[2].removeprefix("Skipped: ")
                if reason.startswith(LACK):
                    self.skipped[item.nodeid] = reason.removeprefix(LACK)
            elif report.when == "call":
                self.ran.add(item.nodeid)
        return report

    def summary(self) -> str:
        """One line for the end of the run."""
        if self.skipped:
            reasons = "; ".join(sorted(set(self.skipped.values())))
            count = f"{len(self.skipped)} test{'s' * (len(self.skipped) > 1)} skipped because {reasons}"
            return f"Kafka: real Apache Kafka, but {count}" if self.ran else f"Kafka: mock cluster only: {count}"
        if self.ran:
            return f"Kafka: real Apache Kafka {kafka_version()} ({len(self.ran)} tests)"
        return "Kafka: no test of this run needed one"

    def is_lacking(self) -> bool:
        """Whether a run that must meet a real Kafka has not."""
        return bool(self.skipped) or not (self.ran or self._is_rerun)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A skip is a failure where a real Kafka is required."""
        was_run = not session.config.option.collectonly
        if REQUIRE_KAFKA and was_run and self.is_lacking() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> Generator[None, None, None]:
        """Say it in the last lines, below the list of what was skipped."""
        yield
        if config.option.collectonly:
            return
        terminalreporter.write_line(self.summary(), yellow=bool(self.skipped), bold=True)
        if REQUIRE_KAFKA and self.is_lacking():
            terminalreporter.write_line("REQUIRE_KAFKA=1: a run without it has failed.", red=True, bold=True)
        if terminalreporter.stats.get("failed") or terminalreporter.stats.get("error"):
            terminalreporter.write_line(RED, red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count."""
    config.pluginmanager.register(KafkaTally(is_rerun=bool(config.getoption("lf", default=False))), "kafka-tally")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Real schemas, events and streams, kept beside the checkout."""
    if not CORPUS.is_dir():
        pytest.skip("there is no ../shared/corpus beside this checkout")
    return CORPUS


@pytest.fixture(scope="session")
def examples() -> Path:
    """The settings, streams and schemas that are served by default."""
    return EXAMPLES
