# People and CI run everything through these targets. `make` without a target lists them.
# PYTHON=python3.13 chooses the Python of the virtual environment; VENV=dir chooses its place.

VENV ?= .venv
PYTHON ?=
BASE ?= HEAD
SHAPE ?= steady
URL ?= http://127.0.0.1:8192
FUZZ_SECONDS ?= 600
BIN := $(VENV)/bin
export PYTHON VENV

# Without a compiled hot path its sources run, so a failure is no reason to stop.
TRY_TO_COMPILE := .ci/compile || echo "penstock: the hot path was not compiled and stays interpreted" >&2

.DEFAULT_GOAL := help
.PHONY: help setup run dev fmt lint type test test-quick test-all soak fuzz wheel bench bench-quick bench-tools bench-compare bench-marks bench-validators profile attack load load-ui load-check requirements clean clients clients-python runtime-venv dev-venv load-venv bench-venv fuzz-venv compile

help:           ## List the targets
	@sed -n -e 's/^##@ \(.*\)/\n\1/p' -e 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name what; do \
		if [ -n "$$what" ]; then printf '  make %-16s %s\n' "$$name" "$$what"; else printf '%s\n' "$$name"; fi; done
	@printf '\nThe command of the service is %s/penstock; README.md and docs/TUTORIAL.md are the way in.\n' "$(BIN)"

# .ci/venv does nothing, and needs no network, when the environment already has the pinned requirements.
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

##@ Start
setup: dev-venv ## Make the virtual environment for tests and checks

run: runtime-venv ## Start the embedded default: example schemas and streams, SQLite, no broker
	@$(TRY_TO_COMPILE)
	@exec $(BIN)/penstock serve $(ARGS)

dev: dev-venv   ## Start the service with the development mode of Python
	@exec $(BIN)/python -X dev -m server serve --set log.level=debug $(ARGS)

##@ Check and test
fmt: dev-venv   ## Format the code
	@$(BIN)/ruff check --quiet --fix-only --exit-zero .
	@$(BIN)/ruff format --quiet .

lint: dev-venv  ## Check style, and that the code is formatted
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo 'Run "make fmt".' >&2; exit 1; }

type: dev-venv  ## Check types
	@$(BIN)/mypy --no-error-summary

test: dev-venv  ## Run the whole suite; ARGS="-k name" selects tests
	@$(TRY_TO_COMPILE)
	@$(BIN)/python -m pytest --durations=10 --durations-min=5 $(ARGS)

# Folders whose tests start services or brokers. Slow tests in other folders have the marker `slow`.
NOT_QUICK := clients console contract deploy eventstreams fuzz kafka process server/master server/sink/kafka two_hop test_kafka_summary.py test_whole.py
test-quick: dev-venv ## The tests that need no running service, broker or browser, in less than a minute
	@$(BIN)/python -m tests.quick $(NOT_QUICK) -- $(ARGS)

test-all: dev-venv ## Run the suite with many more random cases; without a real Kafka it fails
	@REQUIRE_KAFKA=1 HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -q --timeout=600 $(ARGS)

fuzz: fuzz-venv ## Fuzz: a million cases against three validators, random bytes against the server; FUZZ_SECONDS=600
	@PENSTOCK_PURE=1 $(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(ARGS)

soak: dev-venv  ## Inject faults for an hour, then read all events back: make soak ARGS="--seed 7 --minutes 3"
	@$(BIN)/python -m server soak --minutes 60 --report var/soak.json $(ARGS)

##@ Build
compile: runtime-venv ## Compile the hot path, once until it changes; without a C compiler it says so and stays interpreted
	@.ci/compile

wheel: runtime-venv ## Build the wheel into dist, with a file that pins it and its dependencies by hash
	@deploy/wheel

clients: clients-python

clients-python: runtime-venv ## Build the Python client into build/clients/python
	@rm -rf build/clients/python
	@cd clients/python && "$(abspath $(BIN))/python" -m hatchling build -t wheel -d "$(CURDIR)/build/clients/python" >/dev/null
	@ls build/clients/python/*.whl

##@ Measure
bench-quick: bench-venv ## Compare the CPU per event with a bare and a naive server, in 90 s; ARGS=--keep writes bench/results
	@$(BIN)/python -m bench quick $(ARGS)

bench-tools: bench-venv ## Build the peers and the generator for make bench, once: about 15 min
	@$(BIN)/python -m bench tools

bench: bench-tools ## Measure all peers, latency on a real Kafka, scaling and the budget; render them, in 15 min; it writes bench/results
	@$(BIN)/python -m bench costs --keep
	@$(BIN)/python -m bench latency --keep
	@$(BIN)/python -m bench scaling --keep
	@$(BIN)/python -m bench budget --keep
	@$(BIN)/python -m bench render
	-@$(BIN)/python -m bench marks

bench-marks: runtime-venv ## Show for each mark whether the last kept figures meet it
	@$(BIN)/python -m bench marks

bench-compare: bench-venv ## Compare this tree with another revision, in 3 min: make bench-compare BASE=main ARGS="--keep"
	@$(BIN)/python -m bench compare "$(BASE)" $(ARGS)

bench-validators: runtime-venv ## Compare validation with an untyped decode, in 20 s; ARGS=--keep writes bench/results
	@$(BIN)/python -m bench validators $(ARGS)

attack: dev-venv ## Attack a served intake while another client uses it, for an hour: make attack ARGS="--scale 0.2"
	@$(BIN)/python -m bench attacks $(ARGS)

profile: bench-venv ## Draw flame graphs of a serving worker, with native frames, in build/profile
	@$(BIN)/python -m bench profile $(ARGS)

load: load-venv ## Simulate typical users for 60 s: make load SHAPE=steady|wave|spike URL=http://127.0.0.1:8192
	@$(BIN)/python -m bench.load.there "$(URL)"
	@mkdir -p build/load
	@$(BIN)/locust -f bench/load/locustfile.py,bench/load/shapes.py --headless --only-summary --users 40 --spawn-rate 20 \
		--run-time 60s --shape "$(SHAPE)" --html "build/load/$(SHAPE).html" --host "$(URL)" $(ARGS)

load-ui: load-venv ## Do the same from Locust's web page, at 127.0.0.1:8089
	@$(BIN)/locust -f bench/load/locustfile.py --web-host 127.0.0.1 --host "$(URL)" $(ARGS)

load-check: load-venv ## Simulate them for 15 s on a separate intake; every answer must be the expected one
	@$(BIN)/python -m bench.load.check

.PHONY: clients clients-js node-modules
clients: clients-js
clients-js: node-modules ## Build the JavaScript client into build/clients/js
	@cd clients/js && node build.mjs
node-modules:
	@cd clients/js && { cmp -s package-lock.json node_modules/.installed || { npm ci --no-audit --no-fund --silent --ignore-scripts && cp package-lock.json node_modules/.installed; }; }

##@ Maintain
requirements:   ## Pin the packages of requirements/*.in again (needs the network)
	@.ci/venv pin

clean:          ## Remove built files, but not stored events
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
