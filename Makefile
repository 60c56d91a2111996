# Everything a developer or a first-time user does. Each target sets up what it needs.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Ray neither reports usage nor needs the network.
export RAY_USAGE_STATS_ENABLED = 0

.DEFAULT_GOAL := help
.PHONY: help demo test lint check bench bench-politeness bench-speed mutants clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/.user: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "ray_downloader needs Python 3.10 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[mpich]"
	@touch $@

$(BIN)/.developer: $(BIN)/.user
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,mpich]"
	@touch $@

demo: $(BIN)/.user ## the main job on loopback servers of its own, into demo-out/
	rm -rf demo-out
	$(BIN)/python -m ray_downloader +experiment=demo

test: $(BIN)/.developer ## all tests
	$(BIN)/python -m pytest

lint: $(BIN)/.developer ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## what CI runs, without its real Slurm

$(BIN)/.benchmarks: $(BIN)/.developer
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,mpich,bench]"
	@touch $@

bench: $(BIN)/.benchmarks ## figures of benchmarks/ (minutes)
	$(BIN)/python -m benchmarks

bench-politeness: $(BIN)/.benchmarks ## our law beside those of others, at servers with a known limit (5 minutes)
	$(BIN)/python -m benchmarks checks politeness

bench-speed: $(BIN)/.benchmarks ## images/s beside peers and the floor; needs nginx (15 minutes)
	$(BIN)/python -m benchmarks speed

mutants: $(BIN)/.developer ## do the unit tests notice when the code is wrong? SEED=2 SAMPLE=15 draw others (15 minutes)
	$(BIN)/python -m benchmarks.mutants --seed $(or $(SEED),1) --sample $(or $(SAMPLE),8)

clean: ## remove the environment and the demo's output
	rm -rf $(VENV) demo-out
