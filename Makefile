# Verbs of this repository. Each sets up what it needs in .venv/ by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help test demo check format bench transparency clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml requirements-dev.txt hatch_build.py src/clew.pth
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint requirements-dev.txt -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --constraint requirements-dev.txt --editable '.[all]'
	@touch $(STAMP)

test: $(STAMP) ## all tests, on every Python there is
	$(BIN)/python tools/test_all.py

check: $(STAMP) ## linters, types, import fence
	$(BIN)/ruff format --check src tests examples benchmarks tools
	$(BIN)/ruff check src tests examples benchmarks tools
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo
	$(BIN)/codespell src docs tests examples README.md CONTRIBUTING.md

format: $(STAMP) ## format the code
	$(BIN)/ruff format src tests examples benchmarks tools
	$(BIN)/ruff check --fix src tests examples benchmarks tools

demo: $(STAMP) ## record the bundled bank, show it, serve the page on it: ARGS=--no-serve
	$(BIN)/clew demo $(ARGS)

bench: $(STAMP) ## measure, beside the named peers (10 minutes)
	$(BIN)/python -m pip install --quiet -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks

transparency: $(STAMP) ## CPython's own tests, plain and recorded: MODULES='test_queue' ON=.venv-3.13/bin/python
	$(BIN)/python tools/transparency.py $(if $(ON),--python $(ON)) $(MODULES)

clean: ## remove what the verbs made
	rm -rf $(VENV) .venv-* .clew dist build
