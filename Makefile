# make search   installs into .venv and searches; make test   the same set-up with the test extras, then the tests
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do $$p -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 13)' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
DATA ?= auto
# Five minutes on two CPU cores. Your own: make search SPACE=search_spaces/cpu.py SEARCH="--max-epochs 12 --time-budget 1h"
SPACE ?= search_spaces/tiny.py
SEARCH ?= --max-epochs 9 --limit-train 3000 --time-budget 5min
BENCH ?=
KILLS ?= 100

.PHONY: help search test slow soak check bench install clean

help:
	@echo "make search   install into $(VENV), search, write the report (DATA=path, SPACE=file, SEARCH='options of fer-search run')"
	@echo "make test     install with the test extras, run the test suite, under five minutes on two cores (TESTS='folders or files' for these, slow ones too)"
	@echo "make slow     the rest of the suite, the slow tests: Ray, JAX, browsers, processes of their own; CI runs both"
	@echo "make soak     the long tests, hours: memory, crashes at every point, faults, damage, fuzzing, random kills (KILLS=100)"
	@echo "make check    lint, format and types, as CI does"
	@echo "make bench    all benchmarks, 20 minutes on two cores; writes docs/benchmarks.md (BENCH='--quick', or names)"

search: $(VENV)/installed
	@$(BIN)/fer-search run --space "$(SPACE)" --data "$(DATA)" $(SEARCH)
	@echo "The report, to open in a browser:"
	@$(BIN)/fer-search report

test: $(VENV)/tested
	@$(BIN)/python -m pytest -n auto --dist worksteal -m "$(if $(TESTS),,not slow and )not soak" $(TESTS)

slow: $(VENV)/tested
	@$(BIN)/python -m pytest -n auto --dist worksteal -m "slow and not soak"

soak: $(VENV)/tested
	@FER_SEARCH_SOAK=1 $(BIN)/python -m pytest -m soak --timeout 0 $(TESTS)
	@FER_SEARCH_SOAK=1 $(BIN)/python -m pytest -n auto --dist worksteal --timeout 0 tests/crash tests/confirm
	@$(BIN)/python tests/soak.py $(KILLS)

bench: $(VENV)/benched
	@$(BIN)/python benchmarks/run.py --data "$(DATA)" $(BENCH)

check: $(VENV)/checked
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

install: $(VENV)/installed

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "fer-search needs Python 3.11, 3.12 or 3.13; none is on the PATH (or: make PYTHON=/path/to/python)" >&2; exit 2; }
	@echo "Making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing fer-search into $(VENV): TensorFlow and Keras, about 0.7 GB to download, a minute or more"
	@$(PIP) --editable .
	@touch $@

$(VENV)/tested: $(VENV)/installed
	@$(PIP) --editable '.[test]'
	@touch $@

$(VENV)/benched: $(VENV)/installed
	@$(PIP) --editable '.[bench]'
	@touch $@

$(VENV)/checked: $(VENV)/installed
	@$(PIP) --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV)
