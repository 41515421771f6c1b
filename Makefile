# Needs GNU make and Python 3.11 or newer; everything else goes into .venv.

PYTHON ?= python3
DEMO_SECONDS ?= 15
export DEMO_SECONDS

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.ready-bench
SPLICE_READY := $(VENV)/.ready-splice
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test checks tests bench sync protos docs manifests format clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(SPLICE_READY) ## run the demo on an embedded PostgreSQL (DEMO_SECONDS=15)
	@$(BIN)/python -m tenantpool demo

# Types are checked beside the tests, which wait for other processes now and then. The tests start
# hundreds of processes: whoever keeps Python from writing bytecode has it compiled in each of them.
test: export PYTHONDONTWRITEBYTECODE :=
test: $(SPLICE_READY) ## run every check: format, lint, types, generated code, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@$(MAKE) --no-print-directory --jobs 2 checks tests

checks:
	$(BIN)/python tools/generate_sync.py --check
	$(BIN)/python tools/generate_protos.py --check
	$(BIN)/python tools/generate_docs.py --check
	$(BIN)/mypy

tests:
	$(BIN)/pytest --numprocesses auto --dist worksteal

bench: $(BENCH_READY) $(SPLICE_READY) ## run the benchmarks, write benchmarks/results/
	@$(BIN)/python -m benchmarks

sync: $(READY) ## generate the _sync modules from their _async sources
	@$(BIN)/python tools/generate_sync.py

protos: $(READY) ## generate tenantpool/v1 from the protos
	@$(BIN)/python tools/generate_protos.py

docs: $(READY) ## generate docs/configuration.md and the JSON Schema of the configuration
	@$(BIN)/python tools/generate_docs.py

manifests: $(READY) ## render deploy/kubernetes from the chart
	@$(BIN)/python tools/generate_manifests.py

format: $(READY) ## format the code and apply the safe fixes of the linter
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the virtual environment, caches and build output
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -f tenantpool/gateway/_splice.*so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is the last thing made: an interrupted set-up starts over.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "error: tenantpool needs Python 3.11 or newer, but PYTHON=$(PYTHON) is:" \
	        "$$($(PYTHON) --version 2>&1)" >&2; \
	    echo "       name another one: make PYTHON=python3.12 $(firstword $(MAKECMDGOALS))" >&2; \
	    exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "error: $(PYTHON) cannot make virtual environments;" \
	        "on Debian and Ubuntu: apt install python3-venv" >&2; \
	    exit 1; }
	@echo "setting up $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) --editable '.[dev]'
	@touch $@

# Installing has compiled it, too, if it can be; this does it again when its sources change.
$(SPLICE_READY): $(READY) tools/build_splice.py $(wildcard tenantpool/gateway/native/*.[ch])
	@$(BIN)/python tools/build_splice.py
	@touch $@

$(BENCH_READY): $(READY)
	@$(PIP) --editable '.[dev,bench]'
	@touch $@
