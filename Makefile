# One entry for people and for CI. Every target sets up what it needs in this checkout (.venv, .build) and nothing outside it.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := .build/peers
PEERS_PYTHON ?= $(shell for p in python3.12 python3.11; do $$p -c '' 2>/dev/null && echo $$p && break; done)

.PHONY: help demo test check fuzz chaos format docs bench bench-peers soak profile results gpu-check kafka lock clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): requirements/dev.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "headrace needs Python 3.11, 3.12 or 3.13 on the PATH; found none of them"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

demo: $(READY) ## the main job on this machine in a minute: two versions of a model, requests and replies
	@$(BIN)/headrace demo

test: $(READY) ## every test; those that need a broker start Apache Kafka (Java and Maven), or use TEST_BOOTSTRAP_SERVERS
	$(BIN)/python -m pytest $(ARGS)

check: $(READY) ## formatter, linter, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/architecture

fuzz: $(READY) ## hostile records, for MINUTES=10 or RECORDS=1000000; WHAT=agreement|requests|headers|control; ARGS="--seed N"
	@$(BIN)/python -m tests.fuzzing $(if $(WHAT),--what $(WHAT)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(RECORDS),--records $(RECORDS)) $(ARGS)

chaos: $(READY) ## workers and a broker under random faults, every request accounted for, for MINUTES=10; ARGS="--seed N --loader saved_model"
	@$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),10) $(ARGS)

format: $(READY) ## lay the code out as `check` wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY) ## write the generated parts of the pages anew (settings, metrics, schemas, example bytes)
	$(BIN)/python -m worker.settings_docs
	$(BIN)/python -m worker.metrics_docs
	$(BIN)/python -m tests.docs.parts

bench: $(READY) ## headrace beside its peers, on a real broker; SCENARIO=name, or all; ARGS="--rounds 2 --scale 0.2"
	$(BIN)/python -m benchmarks $(if $(SCENARIO),--scenario $(SCENARIO)) $(ARGS)

soak: $(READY) ## one worker at full load for MINUTES=30: what its memory does, and whether each request is answered
	@$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),30)

profile: $(READY) ## where a worker's microseconds go, by thread and by stage; SCENARIO=with_headers
	$(BIN)/python -m benchmarks.profile $(if $(SCENARIO),--scenario $(SCENARIO)) $(ARGS)

results: $(READY) ## draw what `make bench` has kept of each scenario, and put it into the README and docs/performance.md
	$(BIN)/python -m benchmarks.plots
	$(BIN)/python -m benchmarks.pages

$(PEERS)/.ready: requirements/peers.lock
	@test -n "$(PEERS_PYTHON)" || { echo "MLServer needs Python 3.11 or 3.12 on the PATH; found neither"; exit 1; }
	$(PEERS_PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/peers.lock
	@touch $@

bench-peers: $(READY) $(PEERS)/.ready ## headrace beside MLServer, the same model on the same broker (installs MLServer in .build, 2 GB)
	$(BIN)/python -m benchmarks --scenario peers $(ARGS)

gpu-check: $(READY) ## loading, batching, memory growth and unloading on a GPU; exits 77 without one
	@$(BIN)/python -m benchmarks.gpu_check

kafka: $(READY) ## a local Apache Kafka broker in the foreground (Java and Maven)
	@$(BIN)/python -m tests.kit.broker

lock: $(READY) ## write the locks in requirements/ anew from pyproject.toml
	sh requirements/lock.sh

clean: ## remove what the other targets made
	rm -rf $(VENV) .build .mypy_cache .pytest_cache .ruff_cache .hypothesis headrace.egg-info
