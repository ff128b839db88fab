# `make help` lists every verb. Each verb does its own set-up.
SHELL := /bin/bash
PYTHON := .venv/bin/python
READY := .venv/.ready
ALIBI := .venv-alibi/.ready
USE_CASE ?= use_cases/fraud.yaml
PACKAGES ?= build/pipelines
CASE = $(USE_CASE) $(foreach file,$(OVERLAY),--overlay $(file))
SYSTEM := $(shell command -v python3.11 || command -v python3)

.DEFAULT_GOAL := help

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements/dev.txt pyproject.toml tools/setup
	@tools/setup

$(ALIBI): requirements/alibi.txt pyproject.toml tools/setup
	@tools/setup alibi

setup: $(READY) ## the locked environment in .venv

setup-alibi: $(ALIBI) ## the second one, of drift detectors and explainers, in .venv-alibi

demo: $(READY) $(ALIBI) ## raw events to a gated model behind an endpoint; FRESH=1 from nothing, SEED=n other numbers, WEEKS=0 stops sooner
	@.venv/bin/sluice demo $(if $(FRESH),--fresh) $(if $(SEED),--seed $(SEED)) $(if $(filter 0 no,$(WEEKS)),--no-weeks)

test: $(READY) $(ALIBI) ## every test; MinIO and Redis are real
	@$(PYTHON) tools/servers/prepare.py
	@$(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-cluster: $(READY) ## the tests on a real Kubernetes, started for them; needs root, and Go the first time
	@$(PYTHON) -m tools.cluster prepare
	@$(PYTHON) -m pytest -m "cluster or images" $(ARGS)

images: ## the container images, with what is here: docker, podman, buildah; BASE=local starts from debootstrap
	@$(SYSTEM) -m tools.images build $(TARGETS) $(if $(BASE),--base $(BASE))

release: $(READY) ## push the images to REGISTRY=host/path; digests go into manifests, settings and packages
	@$(PYTHON) -m tools.images release $(REGISTRY) --use-case $(USE_CASE) $(if $(BASE),--base $(BASE)) $(if $(MODIFIED),--modified)

sbom: $(READY) ## a bill of materials (CycloneDX) of each image that was built
	@$(PYTHON) -m tools.images sbom $(TARGETS)

audit: $(READY) ## known weaknesses of the locked packages, against tools/images/accepted.yaml; ADVISORIES=folder of a database
	@$(PYTHON) -m tools.images audit $(if $(ADVISORIES),--advisories $(ADVISORIES)) $(if $(REPORT),--report $(REPORT))

lint: $(READY) ## ruff: lint and format
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .

types: $(READY) ## mypy --strict
	@.venv/bin/mypy

check: lint types test ## all of the above, as CI does

format: $(READY) ## ruff: mend what can be mended
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .

compile: $(READY) ## the packages for the Kubeflow Pipelines UI, into build/pipelines; USE_CASE=file OVERLAY=files
	@.venv/bin/sluice compile $(CASE) --out $(PACKAGES)

publish: compile ## the packages into the store, under the commit's hash
	@.venv/bin/sluice publish $(CASE) --packages $(PACKAGES) $(if $(COMMIT),--commit $(COMMIT))

submit: $(READY) ## a run on Kubeflow: HOST=https://… NAMESPACE=… TOKEN_FILE=… CA=…; PUBLISHED=1 of the commit's package
	@.venv/bin/sluice submit $(CASE) --host $(HOST) $(if $(NAMESPACE),--namespace $(NAMESPACE)) \
	  $(if $(TOKEN_FILE),--token-file $(TOKEN_FILE)) $(if $(CA),--ca $(CA)) $(if $(COMMIT),--commit $(COMMIT)) \
	  $(if $(PUBLISHED),--published)

bench: $(READY) $(ALIBI) ## every measurement of docs/benchmarks.md
	@for each in windows spark training scoring serving updater payloads handbook rollout faults monitoring; do $(PYTHON) bench/$$each.py || exit 1; done

lock: $(READY) ## write requirements/*.txt anew from pyproject.toml
	@tools/lock

clean: ## remove the environment and everything that the demo made
	rm -rf .venv .venv-alibi .uv .sluice build

.PHONY: help setup setup-alibi demo test test-cluster images release sbom audit lint types check format compile publish submit bench lock clean
