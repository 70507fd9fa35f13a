# Every target does its own set-up: it makes .venv and installs the pinned packages when a lock file
# or pyproject.toml has changed since the last time. Needed beforehand: Python 3.11 or newer, make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
PROTOS = $(shell find proto -name '*.proto' | sort)
ARGS ?=
WORKERS ?= 2
AGAINST ?= HEAD~1

# Stubs come from mypy-protobuf: protoc's own fail the strict type check.
generate = $(BIN)/python -m grpc_tools.protoc -Iproto \
	--plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy \
	--plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc \
	--python_out=$(1) --grpc_python_out=$(1) --mypy_out=$(1) --mypy_grpc_out=$(1) $(PROTOS)

# Processes that share the tests; ARGS="-n 0" runs them in one, where -s and --pdb work.
spread = -n $(WORKERS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo demo-servers test test-fast lint format types imports proto proto-check \
	proto-lint proto-breaking load load-short servers dev lock wheel check clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1	\2/' \
		| expand -t 24

demo: $(RUNTIME) ## watch signals become people and profiles; no server needed
	$(BIN)/kinfold demo $(ARGS)

demo-servers: $(DEV) ## the same demo on real Pulsar and Neo4j, which it starts and stops
	$(BIN)/python -m tests.support.demo_on_servers $(ARGS)

test: $(DEV) ## run every test, real Pulsar and Neo4j included (ARGS="-k word" narrows it)
	$(BIN)/python -m pytest $(spread) $(ARGS)

test-fast: $(DEV) ## run the tests that need no server and take no time
	$(BIN)/python -m pytest $(spread) -m "not servers and not slow" $(ARGS)

lint: $(DEV) ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(DEV) ## rewrite the code in the house format
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

types: $(DEV) ## check types, strictly
	$(BIN)/mypy

imports: $(DEV) ## check import directions and the purity of the core
	$(BIN)/lint-imports

proto: $(DEV) ## regenerate the code that comes from proto/
	find identity ingest profiles -name '*_pb2*.py*' -delete
	$(call generate,.)

proto-check: $(DEV) ## fail if the generated code differs from what proto/ gives
	@rm -rf build/protos && mkdir -p build/protos/checked-in build/protos/fresh
	@find identity ingest profiles -name '*_pb2*.py*' ! -name '*.pyc' \
		| tar -cf - -T - | tar -xf - -C build/protos/checked-in
	$(call generate,build/protos/fresh)
	@diff -ru build/protos/checked-in build/protos/fresh || { \
		echo "error: the generated code differs from what proto/ gives"; \
		echo "hint: make proto, then commit what changed"; exit 1; }

proto-lint: $(DEV) ## lint the protos with buf
	$(BIN)/buf lint

proto-breaking: $(DEV) ## fail if a proto breaks what the commit before it promised (AGAINST=ref)
	@if git cat-file -e '$(AGAINST):proto' 2>/dev/null; then \
		echo "$(BIN)/buf breaking --against .git#ref=$(AGAINST)"; \
		$(BIN)/buf breaking --against ".git#ref=$$(git rev-parse $(AGAINST))"; \
	else echo "no protos in $(AGAINST): nothing to compare with"; fi

load: $(DEV) ## run the load tests in full; writes load_tests/results.json
	$(BIN)/python -m load_tests $(ARGS)

load-short: $(DEV) ## run the load tests in a short form, without judging times
	$(BIN)/python -m load_tests --short $(ARGS)

servers: $(DEV) ## run real Pulsar and Neo4j in the foreground until Ctrl-C
	$(BIN)/python -m tests.support.servers $(ARGS)

check: lint types imports proto-check proto-lint test-fast ## everything quick

wheel: $(DEV) ## build dist/kinfold-*.whl
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

dev: $(DEV) ## make .venv with everything a developer needs

lock: $(DEV) ## pin the dependencies anew (ARGS=--upgrade takes newer versions)
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 $(ARGS) \
		--custom-compile-command "make lock" --extra build --extra dev --extra servers \
		pyproject.toml --output-file requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 $(ARGS) \
		--custom-compile-command "make lock" --extra build \
		--constraint requirements-dev.lock pyproject.toml --output-file requirements.lock

clean: ## remove .venv, caches and build output
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "error: kinfold needs Python 3.11 or newer; $(PYTHON) is older"; \
		echo "hint: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --editable .
	@touch $(RUNTIME) $@
