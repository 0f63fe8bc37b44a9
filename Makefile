# Entry points for people and for continuous integration. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
# Ansible, molecule and the tests find their programs here first.
export PATH := $(BIN):$(PATH)
LAB := inventory/lab
# Each on its own for mypy: modules of the same name stand in several.
TEST_FOLDERS := $(shell git ls-files -- '*/conftest.py' '*/test_*.py' | xargs -n 1 dirname | sort -u)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- the control node -------------------------------------------------------------------------------------

$(VENV)/.stamp: requirements.txt scheduler/pyproject.toml scheduler/http-parser/pyproject.toml
	@echo "== Preparing Python tools in $(VENV) (about a minute the first time)"
	@python3 -c 'import ensurepip' 2>/dev/null || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv; }
	python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements.txt
	$(BIN)/pip install --quiet --use-pep517 --constraint scheduler/constraints.txt ./scheduler/http-parser --editable './scheduler[test]'
	touch $@

.PHONY: prepare
prepare: $(VENV)/.stamp ## Install what this machine needs: Python tools, packages, Docker Engine
	@ansible-playbook playbooks/control_node.yml

.PHONY: package
package: ## Build the Mesos package from the official artifact
	$(MAKE) -C packaging/mesos deb

# --- the lab ----------------------------------------------------------------------------------------------

.PHONY: lab
lab: prepare ## Bring up the lab and deploy to it; run it again at any time
	@ansible-playbook -i $(LAB) playbooks/lab_up.yml
	@ansible-playbook -i $(LAB) site.yml
	@ansible-playbook -i $(LAB) playbooks/lab_summary.yml

.PHONY: lab-down
lab-down: $(VENV)/.stamp ## Remove the lab's hosts, network and volumes
	@ansible-playbook -i $(LAB) playbooks/lab_down.yml

.PHONY: lab-test
lab-test: lab ## Try on the lab what an operator may do and what may fail
	pytest molecule/lab_acceptance

.PHONY: cluster-test
cluster-test: prepare ## Try on a lab with three masters what may happen to a control plane (an hour)
	$(MAKE) lab LAB=inventory/lab-ha
	pytest molecule/cluster

# --- checks -----------------------------------------------------------------------------------------------

.PHONY: test
test: lint test-unit test-browser test-molecule test-integration ## Everything that continuous integration runs

.PHONY: lint
lint: prepare ## Check style and types
	ruff check .
	ruff format --check .
	mypy
	for folder in $(TEST_FOLDERS); do mypy $$folder; done
	git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck
	yamllint --strict .
	ansible-lint --offline --profile production

.PHONY: test-unit
test-unit: prepare package ## Unit, property and simulation tests, and lintian on the package
	pytest -q -m 'not integration and not browser' scheduler roles
	$(MAKE) -C packaging/mesos lint-deb
	$(MAKE) -C packaging/mesos/executor build/pure
	pytest -q -m 'not integration' packaging/mesos

.PHONY: test-browser
test-browser: prepare ## Look at the status page in Chromium (two minutes)
	pytest -q -m browser scheduler

HISTORIES ?= 10000
.PHONY: test-simulation
test-simulation: prepare ## Live through HISTORIES generated histories (10000: some minutes)
	SIMULATION_HISTORIES=$(HISTORIES) python scheduler/tests/simulation/long_run.py

EXAMPLES ?= 5000
.PHONY: test-properties
test-properties: prepare package ## Look for a counterexample in EXAMPLES new cases for each property (5000: some minutes)
	$(MAKE) -C packaging/mesos/executor build/pure
	for folder in scheduler packaging/mesos; do \
	  EXAMPLES=$(EXAMPLES) HYPOTHESIS_PROFILE=searching pytest -q -m 'hypothesis and not integration' $$folder; \
	done

.PHONY: test-integration
test-integration: prepare package ## Tests on real Mesos and Docker
	pytest -m integration scheduler
	pytest -m integration packaging/mesos

.PHONY: test-molecule
test-molecule: prepare package ## Deploy to a fresh host with molecule and look at it with testinfra
	molecule test

.PHONY: test-vm
test-vm: prepare package ## Boot a virtual machine with cgroup v2 only and run the agent in it (four to six minutes)
	apt-get install --yes -qq --no-install-recommends $$($(MAKE) -s --no-print-directory -C packaging/mesos apt-packages-vm)
	$(MAKE) -C packaging/mesos test-vm

# --- figures ----------------------------------------------------------------------------------------------

.PHONY: bench
bench: prepare package ## Print the figures: executor, scheduler, replacement, deployment (makes the lab anew)
	python packaging/mesos/executor/bench/executor_figures.py
	python scheduler/bench/planning.py
	python scheduler/bench/scripted_cluster.py
	python scheduler/bench/real_cluster.py
	python scheduler/bench/web.py
	python scheduler/bench/replacement.py
	python molecule/lab_acceptance/site_figures.py
