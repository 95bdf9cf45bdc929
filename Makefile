SHELL := bash
.DEFAULT_GOAL := help
BIN := .venv/bin
SYSTEM_PYTHON = $(shell for p in $(PYTHON) python3.11 python3.12 python3; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null && echo "$$p" && break; done)

.PHONY: help
help:
	@echo "make demo         a sentence in, pictures and a video out"
	@echo "make acme         a company with its own services, documents and look, and a request that needs them all"
	@echo "make test         all tests"
	@echo "make cluster      PostgreSQL, RabbitMQ, S3, Chroma, API and workers as processes here, until Ctrl-C"
	@echo "make test-cluster the tests that run on such a cluster"
	@echo "make install      everything these need; ends at once when there is nothing to do"
	@echo "make fmt lint types   the habits before a commit"
	@echo "make constraints  pins what .venv holds now"

.PHONY: install
install: .venv/.installed
	@$(BIN)/python -m orchestrator.setup

.venv/.installed: pyproject.toml constraints.txt
	@test -n "$(SYSTEM_PYTHON)" || { echo "Python 3.11 or 3.12 is needed: apt install python3 python3-venv" >&2; exit 1; }
	@test -x $(BIN)/python || "$(SYSTEM_PYTHON)" -m venv .venv || { rm -rf .venv; \
		echo "no virtual environment could be made: apt install python3-venv" >&2; exit 1; }
	@echo "Installing into .venv; the first time takes some minutes."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip check
	@touch $@

.PHONY: demo
demo: install
	@$(BIN)/python -m orchestrator.demo

.PHONY: acme
acme: install
	@$(BIN)/python examples/acme/run.py $(ARGS)

.PHONY: test
test: install
	$(BIN)/python -m pytest $(ARGS)

.PHONY: cluster
cluster: install
	@deploy/processes/up

.PHONY: test-cluster
test-cluster: install
	$(BIN)/python -m pytest tests/cluster $(ARGS)

.PHONY: fmt
fmt: .venv/.installed
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .

.PHONY: lint
lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

.PHONY: types
types: .venv/.installed
	$(BIN)/mypy

.PHONY: constraints
constraints: .venv/.installed
	{ echo "# Every version that the studio was tested with, for Python 3.11 and 3.12. Made by: make constraints"; \
		$(BIN)/python -m pip list --format=freeze --exclude pip --exclude setuptools --exclude wheel --exclude atelier; \
	} > constraints.new
	mv constraints.new constraints.txt
