# Everything is run through here, by people and by CI alike. `make` alone says what there is.
# PYTHON=python3.13 chooses the Python of the virtual environment; VENV=dir another place for it.

VENV ?= .venv
PYTHON ?=
BASE ?= HEAD
SHAPE ?= steady
URL ?= http://127.0.0.1:8192
FUZZ_SECONDS ?= 600
BIN := $(VENV)/bin
export PYTHON VENV

.DEFAULT_GOAL := help
.PHONY: help setup run dev fmt lint type test test-quick test-all soak fuzz wheel bench bench-quick bench-tools bench-compare bench-marks bench-validators profile attack load load-ui load-check requirements clean clients clients-python runtime-venv dev-venv load-venv bench-venv fuzz-venv

help:           ## What there is
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-14s %s\n' "$$name" "$$what"; done

# .ci/venv does nothing, and needs no network, when the environment already has what the pinned requirements name.
runtime-venv:
	@.ci/venv runtime
dev-venv:
	@.ci/venv dev
load-venv:
	@.ci/venv load
bench-venv:
	@.ci/venv bench
fuzz-venv:
	@.ci/venv fuzz

setup: dev-venv ## Make the virtual environment for tests and checks

run: runtime-venv ## Start the embedded default: example schemas and streams, SQLite, no broker
	@exec $(BIN)/penstock serve $(ARGS)

dev: dev-venv   ## Start it with every development aid of Python switched on
	@exec $(BIN)/python -X dev -m server serve --set log.level=debug $(ARGS)

fmt: dev-venv   ## Format the code
	@$(BIN)/ruff check --quiet --fix-only --exit-zero .
	@$(BIN)/ruff format --quiet .

lint: dev-venv  ## Look for mistakes and for code that is not formatted
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo 'Run "make fmt".' >&2; exit 1; }

type: dev-venv  ## Check types
	@$(BIN)/mypy --no-error-summary

test: dev-venv  ## Run the whole suite; ARGS="-k name" picks
	@$(BIN)/python -m pytest -q $(ARGS)

# Folders whose tests start services or brokers. Slow tests in other folders have the marker `slow`.
NOT_QUICK := clients contract deploy fuzz kafka process server/master server/sink/kafka two_hop test_kafka_summary.py
test-quick: dev-venv ## The tests that need no running service, broker or browser, in less than a minute
	@$(BIN)/python -m pytest -q -m "not slow and not kafka" $(addprefix --ignore=tests/,$(NOT_QUICK)) $(ARGS)

test-all: dev-venv ## The suite with many more random cases, and a real Kafka or nothing
	@REQUIRE_KAFKA=1 HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -q --timeout=600 $(ARGS)

fuzz: fuzz-venv ## A million cases before three judges, and bytes before the whole of it: FUZZ_SECONDS=600
	@$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(ARGS)

soak: dev-venv  ## An hour of faults, and everything read back: make soak ARGS="--seed 7 --minutes 3"
	@$(BIN)/python -m server soak --minutes 60 --report var/soak.json $(ARGS)

wheel: runtime-venv ## Build the wheel into dist, with a file that pins it and all it needs by hash
	@deploy/wheel

clients: clients-python ## Build the client libraries into build/clients

clients-python: runtime-venv
	@rm -rf build/clients/python
	@cd clients/python && "$(abspath $(BIN))/python" -m hatchling build -t wheel -d "$(CURDIR)/build/clients/python" >/dev/null
	@ls build/clients/python/*.whl

bench-quick: bench-venv ## CPU per event beside a bare and a naive server, in 90 s
	@$(BIN)/python -m bench quick --keep $(ARGS)

bench-tools: bench-venv ## Build the peers and the generator for make bench, once: about 15 min
	@$(BIN)/python -m bench tools

bench: bench-tools ## All peers, latency on a real Kafka, scaling, the budget; tables and pictures, in 15 min
	@$(BIN)/python -m bench costs --keep
	@$(BIN)/python -m bench latency --keep
	@$(BIN)/python -m bench scaling --keep
	@$(BIN)/python -m bench budget --keep
	@$(BIN)/python -m bench render
	-@$(BIN)/python -m bench marks

bench-marks: runtime-venv ## Each mark: met, missed or not measured, from the figures kept last
	@$(BIN)/python -m bench marks

bench-compare: bench-venv ## The same work here and on another revision, in 3 min: make bench-compare BASE=main ARGS="--keep"
	@$(BIN)/python -m bench compare "$(BASE)" $(ARGS)

bench-validators: runtime-venv ## What a check costs beside an untyped decode, over the real schemas, in 20 s
	@$(BIN)/python -m bench validators --keep $(ARGS)

attack: dev-venv ## Every attack on a served intake, beside a bystander, in an hour: make attack ARGS="--scale 0.2"
	@$(BIN)/python -m bench attacks --keep $(ARGS)

profile: bench-venv ## Flame graphs of a serving worker, with native frames, in build/profile
	@$(BIN)/python -m bench profile $(ARGS)

load: load-venv ## The users that really come, for 60 s: make load SHAPE=steady|wave|spike URL=http://127.0.0.1:8192
	@mkdir -p build/load
	@$(BIN)/locust -f bench/load/locustfile.py,bench/load/shapes.py --headless --only-summary --users 40 --spawn-rate 20 \
		--run-time 60s --shape "$(SHAPE)" --html "build/load/$(SHAPE).html" --host "$(URL)" $(ARGS)

load-ui: load-venv ## The same by Locust's web page, at 127.0.0.1:8089
	@$(BIN)/locust -f bench/load/locustfile.py --web-host 127.0.0.1 --host "$(URL)" $(ARGS)

load-check: load-venv ## 15 s of them on an intake of its own: every answer must be the expected one
	@$(BIN)/python -m bench.load.check

requirements:   ## Pin again what requirements/*.in name (needs the network)
	@.ci/venv pin

clean:          ## Remove what was built, not what was stored
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
