# Isthmus from a fresh clone. `make` alone lists what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
# `su` leaves root without the folders where conntrack and iptables are.
export PATH := $(PATH):/usr/sbin:/sbin
BIN := .venv/bin
ENV ?= deployments/lab.yaml

.PHONY: help up down test test-long check format pictures bench clean

help: ## list the goals
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

up: ## install what is missing, then build the lab and prove it by traffic
	@scripts/prepare up
	@$(BIN)/isthmus up $(ENV)

down: ## leave nothing of the lab
	@$(BIN)/isthmus down $(ENV)

test: ## install what tests need, then run them, live ones included
	@scripts/prepare test
	@$(checks)
	@$(BIN)/python -m pytest -n auto --dist loadfile tests/unit tests/server
	@$(BIN)/python -m pytest -m "not long" tests/live

test-long: ## the live tests that take longest: every fault and every pair of them, killed servers, bad days
	@scripts/prepare test
	@$(BIN)/python -m pytest -m long tests/live

check: ## format, lint, types, layers and the tests that need nothing
	@scripts/prepare check
	@$(checks)
	@$(BIN)/python -m pytest tests/unit

format: ## put the code in its form
	@scripts/prepare check
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

pictures: ## take the pictures in docs/pictures anew, of a run in Prefect's pages
	@scripts/prepare test
	@ISTHMUS_PICTURES=docs/pictures $(BIN)/python -m pytest tests/live/test_50_pages.py

bench: ## compare `isthmus up` with the same steps in sequence, and print a table (REMOTES=9: and with nine)
	@scripts/prepare up
	@$(BIN)/python -m bench $(if $(REMOTES),--remotes $(REMOTES))

clean: ## remove .venv and what tools left here (not: environments, toolchain)
	@if compgen -G "$${ISTHMUS_HOME:-$$HOME/.local/share/isthmus}/environments/*/regions/*" >/dev/null; \
	then echo "a lab runs from .venv; end it first: make down" >&2; exit 1; fi
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist

define checks
set -e; \
$(BIN)/ruff format --check .; \
$(BIN)/ruff check .; \
$(BIN)/mypy; \
$(BIN)/lint-imports
endef
