# Everything that a developer or a first-time user does. Each target installs what it needs.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Whole jobs mostly wait, so more of them run at once than there are cores.
TEST_PROCESSES ?= 4
# Ray must not report usage, nor look for the network to do so.
export RAY_USAGE_STATS_ENABLED = 0
# Each process of the tests would compile all of them anew, which takes longer than most of them run.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-thorough test-browser test-readers coverage docs lint check bench bench-politeness bench-speed mutants fuzz soak slurm-soak clean

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

demo: $(BIN)/.user ## a whole job on loopback servers of its own, into demo-out/
	rm -rf demo-out
	$(BIN)/python -m ray_downloader +experiment=demo

TOGETHER := -n $(TEST_PROCESSES) --dist loadgroup --no-loadscope-reorder

test: $(BIN)/.developer ## the tests (4 to 5 minutes on 2 cores)
	$(BIN)/python -m pytest -m "not thorough" $(TOGETHER)

test-thorough: $(BIN)/.developer ## what `make test` leaves out: whole jobs in odd surroundings (8 minutes on 2 cores)
	$(BIN)/python -m pytest -m "thorough and not slurm" $(TOGETHER)

test-fast: $(BIN)/.developer ## tests of single parts, without Ray, MPI and whole stages (a minute on 2 cores)
	$(BIN)/python -m pytest tests/unit tests/conf -m "not thorough and not stage" -n 2 --dist loadgroup --no-loadscope-reorder

test-browser: $(BIN)/.developer ## the pages in Chromium (Debian's package `chromium`), with axe-core if npm can fetch it
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[browser]"
	$(BIN)/python -m pytest tests/browser

coverage: $(BIN)/.developer ## the same, and which share of the lines they run
	$(BIN)/python -m pytest tests/unit tests/conf -n 2 --dist loadgroup --no-loadscope-reorder --cov --cov-report=
	@echo "these tests run $$($(BIN)/python -m coverage report --format=total) % of the lines of ray_downloader"

test-readers: $(BIN)/.developer ## a run and its exports, read by datasets, webdataset, DuckDB, polars, pandas, Spark, Ray Data, Daft, Lance
	$(BIN)/python -m pip install --quiet --editable '.[readers]'
	$(BIN)/python -m pytest tests/readers

soak: $(BIN)/.developer ## 10,000 simulated worlds, others with FIRST=20000 (20 minutes); MODE=faults: whole runs that are killed, MINUTES=30
ifeq ($(MODE),faults)
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),30) --seed $(or $(SEED),1)
else
	$(BIN)/python -m tests.simulation --worlds $(or $(WORLDS),10000) --first $(or $(FIRST),1000)
endif

slurm-soak: $(BIN)/.developer ## all whole jobs on the Slurm of the `sbatch` on the PATH, lost nodes included (docs/slurm.md: an hour)
	$(BIN)/python -m pytest tests/slurm --require-slurm --slurm-soak --durations=0

docs: $(BIN)/.developer ## the documents as a site, in build/site; links are checked
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

lint: $(BIN)/.developer ## format, lint, types, import contracts, and the links of the documents
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

check: lint test test-thorough ## what CI runs, apart from its tests on a real Slurm

$(BIN)/.benchmarks: $(BIN)/.developer
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,mpich,bench]"
	@touch $@

bench: $(BIN)/.benchmarks ## the figures in benchmarks/ (minutes)
	$(BIN)/python -m benchmarks

bench-politeness: $(BIN)/.benchmarks ## our rate law and those of others, against servers with a known limit (5 minutes)
	$(BIN)/python -m benchmarks checks politeness

bench-speed: $(BIN)/.benchmarks ## images/s compared with peers and with the floor; needs nginx (15 minutes)
	$(BIN)/python -m benchmarks speed

fuzz: $(BIN)/.developer ## odd bytes for all that parses what strangers send: MINUTES (1) on each parser, side by side
	FUZZ_SECONDS=$$((60 * $(or $(MINUTES),1))) $(BIN)/python -m pytest -q -rP -n 9 tests/unit/fuzz

mutants: $(BIN)/.developer ## do the unit tests notice when the code is wrong? SEED=2 SAMPLE=15 draws others (15 minutes)
	$(BIN)/python -m benchmarks.mutants --seed $(or $(SEED),1) --sample $(or $(SAMPLE),8)

clean: ## remove the environment and the demo's output
	rm -rf $(VENV) demo-out
