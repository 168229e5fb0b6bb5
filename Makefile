# `make` alone prints this list. `make demo` and `make test` set up everything they need on a fresh machine.
VENV   ?= .venv
export VENV
BIN    := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
SEED   ?= 0
FAULTS ?= 60
VERSIONS ?= 16,17,18

# Tools of a release, which nothing else needs.
TWINE     := twine==7.0.0
CYCLONEDX := cyclonedx-bom==7.5.0

# Tests start thousands of processes: what they import is compiled once, also where the shell forbids it.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/.vectrue/bytecode

.DEFAULT_GOAL := help
.PHONY: help env demo test unit lint floors bench soak mutants test-versions lock dist sbom clean

help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

env: ## create the virtual environment from requirements.lock (done by the others when needed)
	@scripts/environment.sh

demo: env ## the whole path on real parts, in about a minute; KEEP=1 leaves it running
	@$(BIN)/vectrue demo $(if $(KEEP),--keep)

test: lint ## everything CI runs: lint, unit, contract, integration, fault, acceptance
	$(PYTEST) -n 2 tests/unit
	$(PYTEST) -n 4 --dist loadfile --no-loadscope-reorder tests/contract tests/integration tests/acceptance
	$(PYTEST) -n 2 --dist loadfile --no-loadscope-reorder tests/fault

unit: env ## unit tests only: nothing outside the process, about a minute
	$(PYTEST) tests/unit

lint: env ## ruff, codespell, plain English, mypy strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/python scripts/english.py
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

floors: env ## the lowest versions that pyproject.toml allows pass the unit tests (fetches a second PyTorch the first time)
	$(PYTEST) tests/floors

bench: env ## latency and throughput, printed as ratios measured side by side
	$(BIN)/python -m tests.bench

soak: env ## random faults for a while, then an independent check (FAULTS=60 SEED=0)
	$(BIN)/python -m tests.soak --faults $(FAULTS) --seed $(SEED)

test-versions: env ## the core of the integration tests on each PostgreSQL that the README claims (VERSIONS=16,17,18)
	$(BIN)/python -m tests.versions --versions $(VERSIONS)

mutants: env ## break a copy of the code in known ways, one by one: the tests must notice each
	$(BIN)/python -m tests.mutants

lock: env ## resolve pyproject.toml into requirements.lock again
	$(BIN)/python -m uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --upgrade \
	    --all-extras --group dev pyproject.toml -o requirements.lock

dist: env ## wheel and source archive in dist/, checked; the same commit gives the same bytes
	rm -rf dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m hatchling build -d dist
	$(BIN)/python -m uv tool run --from $(TWINE) twine check --strict dist/*

sbom: env ## a CycloneDX list of all dependencies, with their hashes, in sbom/
	mkdir -p sbom .vectrue
	$(BIN)/python -m uv --quiet pip compile --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	    --all-extras --constraint requirements.lock pyproject.toml -o .vectrue/release.txt
	$(BIN)/python -m uv tool run --from $(CYCLONEDX) cyclonedx-py requirements .vectrue/release.txt \
	    --pyproject pyproject.toml --mc-type application --output-reproducible -o sbom/vectrue.cdx.json

clean: ## stop the local stack, remove it and the environment
	@[ ! -x $(BIN)/vectrue ] || $(BIN)/vectrue local reset --yes
	@[ ! -x $(BIN)/vectrue ] || for name in demo test bench soak fault mutants versions/16 versions/17 versions/18; do $(BIN)/vectrue local reset --yes --dir .vectrue/$$name; done
	rm -rf $(VENV) .vectrue dist sbom .mypy_cache .ruff_cache .pytest_cache
