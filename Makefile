# `make demo` shows what Karbor does, `make test` proves it; each sets up all that it needs in .venv.
PYTHON ?= python3
BIN := .venv/bin
KILLS ?= 50
# Tests of the service have a command of their own: each of the two ends within minutes.
SERVICE := tests/contract/api tests/service tests/unit/serving tests/unit/schedule \
	$(addprefix tests/unit/engine/test_,conductor.py conductors.py copy.py)
# What a database decides: claims and races, the schedule's firings, quotas, pages of lists
DATABASE := tests/unit/store tests/unit/schedule $(addprefix tests/unit/engine/test_,conductor.py conductors.py conductor_load.py) \
	tests/unit/serving/test_manage.py tests/service/test_serve.py::test_api_and_engine_from_configuration_files \
	$(addprefix tests/contract/api/test_,api_checkpoints.py api_copies.py api_lists.py api_quotas.py api_restores.py scheduled_operations.py scheduled_runs.py)

.PHONY: venv venv-clients demo test lint test-api test-mariadb test-postgresql test-kill test-openstack clean

venv: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --retries 10 --constraint constraints.txt --editable '.[dev]'
	touch $@

# python-karborclient owns the script name `karbor` too, so it lives in an environment of its own
venv-clients: .venv-clients/ready

.venv-clients/ready: constraints-clients.txt
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/python -m pip install --quiet --disable-pip-version-check --retries 10 --constraint $< python-karborclient python-openstackclient
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

# On a server of its own in a temporary folder; where its programs are missing everything is skipped
test-mariadb: venv
	KARBOR_TEST_DATABASE=mariadb $(BIN)/python -m pytest -n 2 --dist worksteal $(DATABASE)

test-postgresql: venv
	KARBOR_TEST_DATABASE=postgresql $(BIN)/python -m pytest -n 2 --dist worksteal $(DATABASE)

test-kill: venv
	KILLS=$(KILLS) $(BIN)/python -m pytest -s tests/kill

# A member's cloud of clouds.yaml, in whose project things are built and deleted: make test-openstack OS_CLOUD=lab
# Where that cloud has no way to the package index, run `make venv venv-clients` before.
test-openstack: venv venv-clients
	@test -n "$(OS_CLOUD)" || { echo "make test-openstack OS_CLOUD=NAME, a cloud of clouds.yaml" >&2; exit 2; }
	KARBOR_TEST_CLOUD=$(OS_CLOUD) $(BIN)/python -m pytest tests/contract/cloud tests/fullstack

clean:
	rm -rf .venv .venv-clients
