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
# Compiled Python files are kept, whatever the shell says: without them each program takes twice as long.
unexport PYTHONDONTWRITEBYTECODE
# Each on its own for mypy: modules of the same name stand in several.
TEST_FOLDERS := $(shell git ls-files -- '*/conftest.py' '*/test_*.py' | xargs -n 1 dirname | sort -u)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- the control node -------------------------------------------------------------------------------------

STEP := control_node/step.sh
PACKAGES := control_node/packages.sh
SUDO := $(shell (($$(id -u) == 0)) || echo sudo)
mesos-packages = $(shell $(MAKE) --silent --no-print-directory -C packaging/mesos $(1))
# Modules are compiled when they are first used. To compile all of Ansible takes three times as long as to install it.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --no-compile --use-pep517 --constraint scheduler/constraints.txt
# Some steps wait for the network, others for the processors. Each makes sense on its own, too.
SIDE_BY_SIDE := $(MAKE) --no-print-directory --jobs=$(shell expr $$(nproc) + 2)

.PHONY: prepare
prepare: $(VENV)/.deploy packages-build ## Install what deploying needs: Ansible in .venv, compilers for the Mesos package

.PHONY: prepare-lab
prepare-lab: prepare $(VENV)/.lab engine ## Install what the lab needs besides: Docker Engine, mmdebstrap

.PHONY: prepare-tests
prepare-tests: prepare-lab $(VENV)/.tests packages-tests ## Install what the tests need besides: linters, Chromium, Prometheus

.PHONY: package
package: packages-build | $(VENV)/bin/python ## Build the Mesos package from the official artifact
	@$(STEP) "Building the Mesos package (a minute or two the first time)" $(MAKE) -C packaging/mesos deb

$(VENV)/bin/python: | packages-venv
	@$(STEP) "Creating $(VENV)" python3 -m venv $(VENV)

$(VENV)/.deploy: requirements.txt scheduler/pyproject.toml scheduler/http-parser/pyproject.toml scheduler/constraints.txt | $(VENV)/bin/python
	@$(STEP) "Installing Ansible and the scheduler into $(VENV)" \
	  $(PIP_INSTALL) --requirement requirements.txt ./scheduler/http-parser --editable ./scheduler
	@touch $@

$(VENV)/.lab: requirements-lab.txt $(VENV)/.deploy
	@$(STEP) "Installing what the lab needs into $(VENV)" $(PIP_INSTALL) --requirement requirements-lab.txt
	@touch $@

$(VENV)/.tests: requirements-tests.txt $(VENV)/.lab
	@$(STEP) "Installing what the tests need into $(VENV)" \
	  $(PIP_INSTALL) --requirement requirements-tests.txt --editable './scheduler[test]'
	@touch $@

# One after the other: apt has one user at a time.
.PHONY: packages-venv packages-build packages-lab packages-tests
packages-venv:
	@$(PACKAGES) "Python's virtual environments" python3-venv

packages-build: packages-venv
	@$(PACKAGES) "reaching hosts by ssh" openssh-client
	@$(PACKAGES) "building the Mesos package (or set mesos_package_file)" $(call mesos-packages,apt-packages)

# Docker Engine brings its client along, but in Debian 13.
packages-lab: packages-build
	@$(PACKAGES) "the lab" docker.io mmdebstrap debian-archive-keyring busybox-static
	@$(PACKAGES) "the lab" docker-cli

.PHONY: engine
engine: packages-lab
	@control_node/engine.sh

# Tests start a Prometheus of their own. Debian's package would start one for good, unless its unit is masked before.
packages-tests: packages-lab
	@[[ ! -d /run/systemd/system ]] \
	  || dpkg-query --show --showformat='$${db:Status-Status}' prometheus 2>/dev/null | grep -qx installed \
	  || $(SUDO) systemctl mask prometheus.service
	@$(PACKAGES) "the tests" chromium chromium-driver prometheus shellcheck $(call mesos-packages,apt-packages-tests)

.PHONY: collection
collection: $(VENV)/.deploy ## Pack the repository as a collection, dist/mesos_docker-cluster-VERSION.tar.gz
	@ansible-galaxy collection build --force --output-path dist

# --- the lab ----------------------------------------------------------------------------------------------

.PHONY: lab
lab: ## Bring up the lab and deploy to it; run it again at any time (LAB=inventory/lab-ha: three masters)
	@$(SIDE_BY_SIDE) lab-hosts package
	@ansible-playbook -i $(LAB) site.yml playbooks/lab_summary.yml

.PHONY: lab-hosts
lab-hosts: prepare-lab ## Bring up the lab's hosts only
	@ansible-playbook -i $(LAB) playbooks/lab_up.yml

.PHONY: lab-down
lab-down: $(VENV)/.lab ## Remove the lab's hosts, network and volumes
	@ansible-playbook -i $(LAB) playbooks/lab_down.yml

.PHONY: lab-test
lab-test: lab prepare-tests ## Try on the lab what an operator may do and what may fail
	pytest molecule/lab_acceptance

.PHONY: cluster-test
cluster-test: prepare-tests ## Try on a lab with three masters what may happen to a control plane (two hours)
	$(MAKE) lab LAB=inventory/lab-ha
	pytest molecule/cluster

rounds ?= 10
seed ?= 1
.PHONY: chaos
chaos: LAB := inventory/lab-ha
chaos: prepare-tests ## Rounds of disasters on a lab that is up (rounds=20 seed=7 faults=kill-scheduler,freeze-host)
	@python molecule/chaos/chaos.py --inventory $(LAB) --rounds $(rounds) --seed $(seed) --faults '$(faults)'

services ?= 20
count ?= 8
minutes ?= 60
.PHONY: load
load: LAB := inventory/lab-ha
load: prepare-tests ## Many services on a lab that is up, and a deployment a minute (services=20 count=8 minutes=60)
	@python molecule/load/load.py --inventory $(LAB) --services $(services) --count $(count) --minutes $(minutes)

# --- checks -----------------------------------------------------------------------------------------------

.PHONY: test
test: lint test-unit test-browser test-molecule test-example test-integration ## Everything that continuous integration runs

.PHONY: lint
lint: prepare-tests ## Check style and types
	ruff check .
	ruff format --check .
	mypy
	for folder in $(TEST_FOLDERS); do mypy $$folder; done
	git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck
	yamllint --strict .
	ansible-lint --offline --profile production

.PHONY: test-unit
test-unit: prepare-tests package ## Unit, property and simulation tests, and lintian on the package
	pytest -q -n auto -m 'not integration and not browser' scheduler roles control_node molecule/chaos
	$(MAKE) -C packaging/mesos lint-deb
	$(MAKE) -C packaging/mesos/libexec build/pure
	pytest -q -m 'not integration' packaging/mesos

.PHONY: test-browser
test-browser: prepare-tests ## Look at the status page in Chromium (two minutes)
	pytest -q -m browser scheduler

HISTORIES ?= 10000
.PHONY: test-simulation
test-simulation: prepare-tests ## Live through HISTORIES generated histories (10000: some minutes)
	SIMULATION_HISTORIES=$(HISTORIES) python scheduler/tests/simulation/long_run.py

EXAMPLES ?= 5000
.PHONY: test-properties
test-properties: prepare-tests package ## Look for a counterexample in EXAMPLES new cases for each property (5000: some minutes)
	$(MAKE) -C packaging/mesos/libexec build/pure
	for folder in scheduler packaging/mesos; do \
	  EXAMPLES=$(EXAMPLES) HYPOTHESIS_PROFILE=searching pytest -q -m 'hypothesis and not integration' $$folder; \
	done

# They wait more than they work. Each has a folder of its own, which it opens to the users of its tasks, and which stays when a
# test fails.
define integration-tests
folder=$$(mktemp --directory); pytest -m integration --basetemp=$$folder/pytest $(1); rm --recursive $$folder
endef
.PHONY: test-integration test-integration-scheduler test-integration-mesos
test-integration: prepare-tests package ## Tests on real Mesos and Docker
	$(SIDE_BY_SIDE) --output-sync=target test-integration-scheduler test-integration-mesos
	pytest -m integration roles

test-integration-scheduler:
	$(call integration-tests,scheduler)

test-integration-mesos:
	$(call integration-tests,packaging/mesos)

.PHONY: test-molecule
test-molecule: prepare-tests package ## Deploy to a fresh host with molecule and look at it with testinfra
	@mkdir -p dist
	@# molecule removes the host last, and says much about it: what failed would stand far above.
	COLUMNS=240 molecule test 2>&1 | tee dist/molecule.log \
	  || { printf '\nWhat failed (dist/molecule.log says all):\n'; \
	       sed 's/\x1b\[[0-9;]*m//g; s/^ *│ //' dist/molecule.log \
	       | grep --extended-regexp '^(E  |fatal:|(FAILED|ERROR) .*::)' | tail --lines=20; exit 1; }

.PHONY: test-example
test-example: prepare-tests package ## Deploy inventory/example to hosts of its own, and strike them (fifteen minutes)
	pytest molecule/example

.PHONY: test-collection
test-collection: prepare-tests ## Install the collection into an empty folder and deploy from there (ten minutes)
	pytest molecule/collection

.PHONY: test-vm
test-vm: prepare-tests package ## Boot a virtual machine with cgroup v2 only and run the agent in it (six to eight minutes)
	@$(PACKAGES) "the virtual machine" $(call mesos-packages,apt-packages-vm)
	$(MAKE) -C packaging/mesos test-vm

# --- figures ----------------------------------------------------------------------------------------------

.PHONY: bench
bench: prepare-tests package ## Print the figures: executor, scheduler, replacement, deployment (makes the lab anew)
	python packaging/mesos/libexec/bench/executor_figures.py
	python packaging/mesos/libexec/bench/command_figures.py
	python scheduler/bench/planning.py
	python scheduler/bench/scripted_cluster.py --stores sqlite,zookeeper
	python scheduler/bench/takeover.py
	python scheduler/bench/real_cluster.py
	python scheduler/bench/web.py
	python scheduler/bench/replacement.py
	python molecule/lab_acceptance/site_figures.py
