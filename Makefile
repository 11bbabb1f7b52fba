# `make demo` shows what Karbor does, `make test` proves it; each sets up all that it needs in .venv.
PYTHON ?= python3
BIN := .venv/bin
KILLS ?= 50
# Tests of the service have a command of their own: each of the two ends within minutes.
SERVICE := tests/contract/api tests/service tests/unit/serving tests/unit/schedule tests/unit/engine/test_conductor.py tests/unit/engine/test_copy.py

.PHONY: venv venv-clients demo test lint test-api test-kill test-openstack clean

venv: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

# python-karborclient owns the script name `karbor` too, so it lives in an environment of its own
venv-clients: .venv-clients/ready

.venv-clients/ready: constraints-clients.txt
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/python -m pip install --quiet --disable-pip-version-check --constraint $< python-karborclient python-openstackclient
	touch $@

demo: venv
	$(BIN)/karbor demo

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/unit tests/contract tests/scenario tests/kill $(SERVICE:%=--ignore=%)

# Each route over HTTP, the service's processes and schedules, and the command lines that existing users have
test-api: venv venv-clients
	$(BIN)/python -m pytest -n 2 --dist worksteal $(SERVICE) tests/clients

test-kill: venv
	KILLS=$(KILLS) $(BIN)/python -m pytest -s tests/kill

# A member's cloud of clouds.yaml, in whose project things are built and deleted: make test-openstack OS_CLOUD=lab
test-openstack: venv
	@test -n "$(OS_CLOUD)" || { echo "make test-openstack OS_CLOUD=NAME, a cloud of clouds.yaml" >&2; exit 2; }
	KARBOR_TEST_CLOUD=$(OS_CLOUD) $(BIN)/python -m pytest tests/contract/cloud tests/fullstack

clean:
	rm -rf .venv .venv-clients
