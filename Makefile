# What CI does is what a person does: .ci/run calls `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --custom-compile-command 'make lock' pyproject.toml
# Where it is set, as in many containers, each process of pytest compiles every test again: ten seconds more.
unexport PYTHONDONTWRITEBYTECODE
# Options for pytest; `make test` measures coverage with it
COVERAGE :=
# Without an engine, without PostgreSQL, without those that take long
FAST := not (engine or postgres or e2e or compose or browser or stress or slow)

.PHONY: help setup demo quick static check test engines chaos soak bench screenshots docs lock engine-up engine-down clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make .venv with the headway command in it (.venv/bin/headway); does nothing if it is up to date
	@scripts/setup.sh

demo: ## Set this machine up, start Headway, and show how a push becomes a tested, pushed image (HEADWAY_DEMO_EXIT=1: then stop)
	@scripts/free-port.sh HEADWAY_PORT "$${HEADWAY_PORT:-8080}" "Headway's page"
	@[ -z "$$HEADWAY_REGISTRY_PORT" ] || scripts/free-port.sh HEADWAY_REGISTRY_PORT "$$HEADWAY_REGISTRY_PORT" "the registry"
	@scripts/machine.sh
	@scripts/setup.sh
	@scripts/with-engine.sh $(BIN)/python -m scripts.demo

quick: setup static ## What make check does, but of the fast tests only those of what you have changed (SINCE=COMMIT)
	@tests=$$($(BIN)/python -m scripts.changed_tests $(SINCE)) && \
		{ [ -z "$$tests" ] || $(BIN)/pytest -q -m "$(FAST)" $$tests || [ $$? -eq 5 ]; }

static:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: setup static ## Lint, format, types, import rules and the fast tests
	$(BIN)/pytest -q -n 4 $(COVERAGE) -m "$(FAST)"

test: ## Everything, on real parts: set this machine up, start what is missing, check, run all tests, stop what was started
	@scripts/machine.sh --tests
	@scripts/setup.sh
	@scripts/with-engine.sh --compose scripts/test.sh

engines: ## Run the tests that need an engine with each Docker Engine that people have (ENGINES="sid-containerd ...": only these)
	@scripts/machine.sh --tests
	@scripts/setup.sh
	@scripts/with-engine.sh scripts/engines.sh test $(ENGINES)

chaos: ## Break parts of a whole installation in turn, and check every run, log and push (CHAOS_ROUNDS=4, CHAOS_SEED=... repeats)
	@scripts/machine.sh --tests
	@scripts/setup.sh
	@scripts/with-engine.sh $(BIN)/python -m tests.chaos

soak: ## Run half an hour of work: memory, descriptors, threads and files must not grow (SOAK_MINUTES=30)
	@scripts/machine.sh --tests
	@scripts/setup.sh
	@scripts/with-engine.sh $(BIN)/python -m tests.chaos.soak

bench: ## Measure against docker run, buildx and others: a table, and bench/results.json (ROWS="name ...": only these)
	@scripts/machine.sh --bench
	@scripts/setup.sh
	@scripts/with-engine.sh $(BIN)/python bench/run.py $(if $(ROWS),--only "$(ROWS)")

screenshots: setup ## Take every page in both themes and widths, of a seeded installation: screenshots/
	@rm -rf screenshots
	SCREENSHOTS=screenshots $(BIN)/pytest -q -n 0 tests/web/pages/test_every_page.py

lock: setup ## Write requirements.lock and requirements-dev.lock from pyproject.toml (UPGRADE=1: newest versions)
	$(LOCK) $(if $(UPGRADE),--upgrade) --output-file requirements.lock
	$(LOCK) $(if $(UPGRADE),--upgrade) --extra otel --extra dev --constraint requirements.lock --output-file requirements-dev.lock

docs: setup ## Write docs/running/settings.md from workers/settings.py
	$(BIN)/python -m scripts.settings_page docs/running/settings.md

engine-up: ## Start a Docker Engine if none answers, and get the base images
	@scripts/engine.sh start
	@scripts/images.sh

engine-down: ## Stop the Docker Engine that engine-up started
	@scripts/engine.sh stop

clean: ## Remove what was made here: .venv, the demo's state, caches, wheels
	rm -rf .venv .demo dist build htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find pipelines runner workers web tests scripts -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
