# Everything that a developer or CI does here. Needs make, a Python >= 3.11 and a package registry;
# the tools come from requirements/dev.txt, into .venv.

# A name that is on the path need not run (pyenv's shims), so each is tried. Only `.venv` uses it.
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	then echo $$python; break; fi; done)
BIN := .venv/bin

.PHONY: help venv demo test lint format bench chaos picture pins images schemas clean
.DEFAULT_GOAL := help

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r target text; \
		do printf '  make %-9s %s\n' "$$target" "$$text"; done

demo: venv ## the whole service on this machine, no Docker: embedded Kafka and Postgres, a fake Sedna
	$(BIN)/sedna-sync demo

test: venv ## all tests; ARGS='tests/unit -k lanes' selects
	$(BIN)/pytest $(ARGS)

lint: venv ## style, types, import contracts, the Dockerfile
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

format: venv ## rewrite the code in the project's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: venv ## measure; ARGS=… selects
	$(BIN)/python -m benchmarks $(ARGS)

chaos: venv ## ten minutes of faults of every kind, then a judgement; ARGS='--seed 7 --faults 1000 --duration 600'
	$(BIN)/python -m tests.chaos $(ARGS)

picture: venv ## draw docs/dashboard.png anew, from a quarter of an hour of traffic; ARGS=--again
	$(BIN)/python -m tools.draw_dashboard $(ARGS)

schemas: venv ## write the JSON Schemas, the AsyncAPI and the OpenAPI document anew from the models
	$(BIN)/sedna-sync schema export schemas/generated

pins: venv ## resolve pyproject.toml into requirements/*.txt anew (UPGRADE=--upgrade takes newer versions)
	$(BIN)/python tools/pins.py $(UPGRADE)

images: venv ## pin the images of Dockerfile and docker-compose.yml by digest, as their registry has them now
	$(BIN)/python tools/images.py

clean: ## remove what was built, .venv too
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@python='$(PYTHON)'; \
	if [ -z "$$python" ]; then \
		echo 'no Python >= 3.11 that runs was found: install one, or make PYTHON=/path/to/python3' >&2; exit 2; \
	fi; \
	"$$python" tools/setup_venv.py
