# Two commands do everything on a fresh machine: `make run` and `make test`.
.DEFAULT_GOAL := help
PY := .venv/bin/python

.PHONY: help setup run test lint format check train conformance messages lock

help: ## Show what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## Make .venv from the committed lock (the others do this by themselves)
	@scripts/setup

run: setup ## Start the model server and the gateway on 127.0.0.1:8000
	@$(PY) -m scripts.run

test: setup ## Run every test
	@echo "Running the tests …"
	@$(PY) -m pytest

lint: setup ## ruff and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

format: setup ## Format the code
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

check: lint test ## What CI runs

DATA ?= pictures
RUN ?= runs/sport
CACHE ?= .cache/training
train: setup ## Train and publish the sport model: make train DATA=folder [MANIFEST=file.csv] [WEIGHTS=file.h5]
	@$(PY) -m training train --data "$(DATA)" --run "$(RUN)" --cache "$(CACHE)" --models models \
		$(if $(MANIFEST),--manifest "$(MANIFEST)") $(if $(WEIGHTS),--backbone-weights "$(WEIGHTS)") $(ARGS)

conformance: setup ## Ask a TF Serving every case: make conformance TARGET=host:port
	@$(PY) -m pytest tests/conformance $(if $(TARGET),--target $(TARGET))

messages: setup ## Generate proto_client's messages anew
	@$(PY) -m proto_client.generator

lock: setup ## Bring the locks up to date with pyproject.toml
	@.venv/bin/uv pip compile -q --universal --generate-hashes --python-version 3.11 pyproject.toml --extra tensorflow --group dev -o requirements.lock
	@.venv/bin/uv pip compile -q --universal --generate-hashes --python-version 3.11 pyproject.toml -o requirements-gateway.lock -c requirements.lock
