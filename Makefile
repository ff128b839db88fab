# `make help` lists every verb. Each verb does its own set-up.
SHELL := /bin/bash
PYTHON := .venv/bin/python
READY := .venv/.ready

.DEFAULT_GOAL := help

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements/dev.txt pyproject.toml tools/setup
	@tools/setup

setup: $(READY) ## the locked environment in .venv

demo: $(READY) ## raw events to a gated model behind an endpoint; FRESH=1 starts from nothing, SEED=n another world
	@.venv/bin/sluice demo $(if $(FRESH),--fresh) $(if $(SEED),--seed $(SEED))

test: $(READY) ## every test; MinIO and Redis are real
	@$(PYTHON) tools/servers/prepare.py
	@$(PYTHON) -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(READY) ## ruff: lint and format
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .

types: $(READY) ## mypy --strict
	@.venv/bin/mypy

check: lint types test ## all of the above, as CI does

format: $(READY) ## ruff: mend what can be mended
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

compile: $(READY) ## the packages for the Kubeflow Pipelines UI, into build/pipelines
	@.venv/bin/sluice compile use_cases/fraud.yaml --out build/pipelines

bench: $(READY) ## every measurement of docs/benchmarks.md
	@for each in windows training serving handbook faults; do $(PYTHON) bench/$$each.py || exit 1; done

lock: $(READY) ## write requirements/*.txt anew from pyproject.toml
	@tools/lock

clean: ## remove the environment and everything that the demo made
	rm -rf .venv .uv .sluice build

.PHONY: help setup demo test lint types check format compile bench lock clean
