# Everything runs in .venv, which deploy/venv.sh makes once from requirements.lock.
# `make help` lists the targets; with nothing but PATH and HOME in the environment they all work.

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

BIN := .venv/bin
PACKAGES := gateway ledger consent keys
UV := uv==0.13.9

DEMO_HOME ?= .demo
DEMO_LANG ?= en
CHAPTER ?= main
DATABASE ?= sqlite
ONCE ?=
TESTS ?=
ENGINES ?= usual
BENCH_QUICK ?=
BENCH_LEAVES ?=
LEAVES ?= 10000000
ARGS ?=
JOBS ?= auto
FUZZ_SECONDS ?= 60
FUZZ ?=

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: venv
venv: ## make .venv from the lock file, once (PYTHON=/path/to/python3.12 to choose)
	@PYTHON='$(PYTHON)' sh deploy/venv.sh

.PHONY: debian
debian: ## install the Debian packages whose tools the tests use, starting nothing (root; softhsm2, nginx, promtool)
	@sh deploy/debian.sh

.PHONY: demo
demo: venv ## the story on real data (ONCE=1, DEMO_LANG=zh, CHAPTER=evidence|statute|predicate|keys|all, DATABASE=postgresql)
	@$(BIN)/chengxin --home '$(DEMO_HOME)' demo --lang '$(DEMO_LANG)' --chapter '$(CHAPTER)' \
		--database '$(DATABASE)' $(if $(filter-out 0 no false,$(ONCE)),--once)

.PHONY: sandbox
sandbox: venv ## a gateway with invented people in every state, to try a bank's client against (Ctrl-C stops it)
	@$(BIN)/chengxin --home .sandbox sandbox

.PHONY: test
test: venv ## all tests (TESTS=tests/keys, ARGS='-x -k withdrawal', JOBS=0 for one process, ENGINES=all)
	@TEST_ENGINES='$(ENGINES)' $(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder $(ARGS) $(or $(TESTS),--ignore=tests/runbooks)

.PHONY: fuzz
fuzz: venv ## fuzz the parsers by coverage (FUZZ_SECONDS=60 for each kind, FUZZ=note for one of them)
	@set -e; for target in $(or $(FUZZ),document certificate proof note tile signature); do \
		$(BIN)/python -m tests.fuzz.longer "$$target" '$(FUZZ_SECONDS)'; done

.PHONY: crashes
crashes: venv ## every durable step crossed with every fault, on both engines (the tests take a part of them)
	@CRASHES=all $(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8 --dist loadfile $(ARGS) tests/faults/test_crash_table.py

.PHONY: soak
soak: venv ## ten minutes at full load while workers, PostgreSQL and connections are killed (SOAK_SECONDS=600, SOAK_SEED=)
	@$(BIN)/python -m tests.faults.soak

.PHONY: runbooks
runbooks: venv ## follow every page of deploy/docs step by step, by its own commands
	@$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8 $(ARGS) tests/runbooks

.PHONY: bench
bench: venv ## measure everything beside four opponents, in about ten minutes (BENCH_QUICK=1, BENCH_LEAVES=10000000)
	@BENCH_QUICK='$(BENCH_QUICK)' BENCH_LEAVES='$(BENCH_LEAVES)' $(BIN)/python -m tests.bench

.PHONY: bench-verify
bench-verify: venv ## verify a made-up log offline, and print seconds and memory (LEAVES=10000000: 9 GB in TMPDIR meanwhile)
	@$(BIN)/python -m tests.bench.offline --leaves '$(LEAVES)'

.PHONY: coverage
coverage: venv ## the tests again, with a report of the lines they never reach
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(ARGS) $(TESTS)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report

.PHONY: lint
lint: venv ## ruff and its format; bandit; deptry (a dependency is declared and used, or neither)
	@$(BIN)/ruff check --output-format concise .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/bandit --quiet --severity-level medium --configfile pyproject.toml --recursive $(PACKAGES)
	@$(BIN)/deptry --no-ansi .

.PHONY: format
format: venv ## ruff's repairs and format, written
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: types
types: venv ## mypy --strict
	@$(BIN)/mypy

.PHONY: imports
imports: venv ## the directions of import (import-linter)
	@$(BIN)/lint-imports

.PHONY: check
check: ## all that .ci/run does
	@bash .ci/run

.PHONY: lock
lock: ## resolve requirements.lock anew from pyproject.toml (UPGRADE=1 for the newest within its ranges)
	@sh deploy/lock.sh '$(UV)' $(if $(UPGRADE),--upgrade)

.PHONY: wheel
wheel: venv ## build the wheel into dist/
	@$(BIN)/python -m hatchling build -t wheel -d dist

.PHONY: clean
clean: ## remove what make made here, .demo/ too (stop its server first)
	@rm -rf .venv .lock-tools .demo .sandbox build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache \
		.fuzz .mypy_cache .pytest_cache .ruff_cache
	@find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +
