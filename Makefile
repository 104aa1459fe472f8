# Verbs of this repository. Each sets up what it needs in .venv/ by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help test demo check format bench transparency clean screenshots test-server-everywhere web web-check web-test

# The page is built with Node 20.19 or newer; where there is none, clew works without it and says so.
NODE := $(shell node -e 'const [a, b] = process.versions.node.split("."); process.exit(+a > 20 || (+a === 20 && +b >= 19) ? 0 : 1)' 2>/dev/null && npm --version >/dev/null 2>&1 && echo yes)
WEB_STAMP := web/node_modules/.package-lock.json
PAGE := $(if $(filter yes,$(NODE)),web)

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml requirements-dev.txt hatch_build.py src/clew.pth
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint requirements-dev.txt -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --constraint requirements-dev.txt --editable '.[all]'
	@touch $(STAMP)

test: $(STAMP) web-test ## all tests, on every Python there is
	$(BIN)/python tools/test_all.py

test-server-everywhere: $(STAMP) ## the tests of the store and the server on the other Pythons too
	$(BIN)/python tools/test_all.py --server

check: $(STAMP) web-check ## linters, types, import fence
	$(BIN)/ruff format --check src tests examples benchmarks tools
	$(BIN)/ruff check src tests examples benchmarks tools
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell src docs tests examples README.md CONTRIBUTING.md

$(WEB_STAMP): web/package-lock.json
	cd web && npm ci --no-audit --no-fund --prefer-offline
	@touch $@

web: $(WEB_STAMP) ## build the page into src/clew/server/static (needs Node)
	cd web && npm run --silent build

ifeq ($(NODE),yes)
web-check: $(WEB_STAMP)
	cd web && npm run --silent check

web-test: web
	cd web && npm run --silent test
else
web-check web-test:
	@echo 'web: left out, as there is no Node 20.19 or newer with npm here'
endif

format: $(STAMP) ## format the code
	$(BIN)/ruff format src tests examples benchmarks tools
	$(BIN)/ruff check --fix src tests examples benchmarks tools

demo: $(STAMP) $(PAGE) ## record the bundled bank, show it, serve the page on it: ARGS=--no-serve
	$(BIN)/clew demo $(ARGS)

screenshots: $(STAMP) web ## pictures of every view, into docs/images
	CLEW_SCREENSHOTS=docs/images $(BIN)/python -m pytest -q -n0 tests/e2e/test_views.py

bench: $(STAMP) ## measure, beside the named peers (10 minutes)
	$(BIN)/python -m pip install --quiet -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks

transparency: $(STAMP) ## CPython's own tests, plain and recorded: MODULES='test_queue' ON=.venv-3.13/bin/python
	$(BIN)/python tools/transparency.py $(if $(ON),--python $(ON)) $(MODULES)

clean: ## remove what the verbs made
	rm -rf $(VENV) .venv-* .clew dist build web/node_modules src/clew/server/static
