"""Commands within a sentence, such as `make clients`: each exists, and is run by a test or listed with the reason.

Those of `penstock` are in test_docs; those in blocks are in test_commands_of_docs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

import pytest

from tests.docs.test_commands_of_docs import PAGES
from tests.harness.running import ROOT

CLIENTS: Final = sorted((ROOT / "clients").glob("*/README.md"))
PROGRAMS: Final = r"docker|make|curl|pip|promtool|systemctl|helm|npm|python3?|kcat|prometheus|kubectl|apt|go"
# A line of a client's README that a shell runs: the other indented lines are Python and JavaScript.
_OF_A_SHELL: Final = re.compile(rf"^    ((?:{PROGRAMS}|penstock) [^\n#]+)", re.MULTILINE)
_IN_A_SENTENCE: Final = re.compile(rf"`((?:{PROGRAMS}) [^`\n]+)`")

_NEEDS_SYSTEMD: Final = "it needs systemd as process 1; tests/deploy/test_systemd.py checks the units"
_NEEDS_NETWORK: Final = "it installs packages from the network"
_NEEDS_DOCKER: Final = "it needs Docker; tests/deploy/test_compose.py checks the file"
RUN_BY: Final = {
    "curl ADMIN/canaries": "tests/process/test_canary.py",
    "curl ADMIN/expectations": "tests/process/test_expectations.py",
    "curl ADMIN/metrics": "tests/process/test_admin.py",
    "curl ADMIN/plausibility": "tests/process/test_plausibility.py",
    "curl ADMIN/stacks": "tests/process/test_admin.py",
    "curl ADMIN/status": "tests/process/test_admin.py",
    "curl -X PUT -d debug …": "tests/process/test_admin.py",
    "curl -X PUT --data 'web 4.2 is deployed' ADMIN/plausibility/changes": "tests/process/test_plausibility.py",
    "promtool test rules alerts_test.yml": "tests/deploy/test_monitoring.py",
    "helm install my-intake deploy/helm/penstock -f values.yaml": "tests/deploy/test_helm.py",
    "python3 -m http.server 8000": "tests/docs/test_sending_page.py",
    "pip install build/clients/python/*.whl": "tests/clients/python",
    "npm test": "tests/clients/js",
    "penstock types -c intake.yaml --lang py -o events.py": "tests/server/commands/test_types.py",
    "penstock types -c intake.yaml --lang py -o events.py --check": "tests/server/commands/test_types.py",
}
NOT_RUN: Final = {
    "docker build -t penstock .": _NEEDS_DOCKER,
    "docker compose up --build --wait": _NEEDS_DOCKER,
    "systemctl enable --now penstock.socket penstock.service": _NEEDS_SYSTEMD,
    "systemctl reload": _NEEDS_SYSTEMD,
    "systemctl restart penstock": _NEEDS_SYSTEMD,
    "systemctl status penstock": _NEEDS_SYSTEMD,
    "npm install penstock-client": _NEEDS_NETWORK,
    "pip install penstock-client": _NEEDS_NETWORK,
    "pip install 'penstock-client[validate]'": _NEEDS_NETWORK,
    "apt install kcat": _NEEDS_NETWORK,
    "npm ci": _NEEDS_NETWORK,
    "npm run bench": "it measures",
    "kcat -C -e": "it needs a broker; tests/server/schemas_tool/test_replay.py reads such lines from standard input",
}


def commands() -> Iterator[str]:
    for page in (*PAGES, *CLIENTS):
        text = page.read_text("utf-8")
        yield from _IN_A_SENTENCE.findall(re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
        if page in CLIENTS:
            yield from (line.strip() for line in _OF_A_SHELL.findall(text))


def is_own(command: str) -> bool:
    """Whether it is a target of the Makefile or a module of this tree, which the tests below look up."""
    return command.startswith(("make ", "python -m "))


def test_each_is_run_or_listed_with_the_reason_why_not() -> None:
    found = {command for command in commands() if not is_own(command)}

    assert sorted(found - {*RUN_BY, *NOT_RUN}) == [], "run it in a test, or say here why not"
    assert sorted({*RUN_BY, *NOT_RUN} - found) == [], "no page has it any more"
    assert [place for place in RUN_BY.values() if not (ROOT / place).exists()] == []


def test_each_target_exists_with_the_folders_that_it_names() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in commands():
        if command.startswith("make "):
            names = re.sub(r'\w+=("[^"]*"|\S+)', "", command.removeprefix("make ")).split()
            assert set(names) <= targets, command
            for place in re.findall(r"tests/[\w/.]+", command):
                assert (ROOT / place).exists(), command


@pytest.mark.parametrize("command", sorted({one for one in commands() if one.startswith("python -m ")}))
def test_each_module_exists(command: str) -> None:
    module, *rest = command.removeprefix("python -m ").split()

    assert find_spec(module), command
    if module == "bench":
        assert f'"{rest[0]}"' in (ROOT / "bench" / "__main__.py").read_text(), command
