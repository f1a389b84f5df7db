# Both commands of the README set up everything they need in .venv on a fresh machine.
#   make demo    the main job, end to end, with what `pip install knuckle` brings (no torch)
#   make test    ruff, pyright, import-linter and pytest
#   make docs    the documentation site
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/bash

.PHONY: demo test lint docs fuzz audit bench weights clean
.DELETE_ON_ERROR:

$(BIN)/python:
	tools/setup.sh venv "$(PYTHON)" $(VENV)

# Two stamps: the demo needs only the package, the tests need torch and the tools as well.
$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.runtime

# The Khronos glTF validator, which the tests hold every exported .glb against. node and npm come with the dev extra.
GLTF := tools/gltf
$(GLTF)/node_modules/.installed: $(GLTF)/package.json $(VENV)/.dev
	$(BIN)/npm install --prefix $(GLTF) --no-package-lock --no-audit --no-fund --silent
	touch $@

# The photograph of the demo; `make demo IMAGE=photo.jpg` for one of yours.
IMAGE ?= examples/hand.jpg

demo: $(VENV)/.runtime
	$(BIN)/python tools/demo.py "$(IMAGE)"

# Pyright asks the interpreter where packages are: Pinocchio's folder is in none of the lists that it reads by itself.
lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-logo

# Drawing pictures takes EGL, which pip cannot bring. Where it cannot be had the rest is tested, and that is a failure still.
# Without a browser pytest skips the two tests that take one, and says so.
test: lint $(GLTF)/node_modules/.installed
	@tools/setup.sh chromium || true
	@if tools/setup.sh egl $(BIN)/python; then \
		$(BIN)/python -m pytest -n 2; \
	else \
		$(BIN)/python -m pytest -n 2 -m "not egl"; \
		echo "the tests that draw pictures were left out" >&2; \
		tools/setup.sh check-egl $(BIN)/python; \
		exit 1; \
	fi

# Damaged files for every reader: 0 faults in 100,000 is what SECURITY.md promises. `make fuzz INPUTS=1000` for fewer.
INPUTS ?= 100000
fuzz: $(VENV)/.dev
	PYTHONPATH=tests $(BIN)/python -m fuzz --inputs $(INPUTS)

# Known vulnerabilities of what is installed, from PyPI's database, and the licences. pip-audit has an environment of its own.
audit: $(VENV)/.dev
	"$(PYTHON)" -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.9.0
	$(BIN)/python -m pip freeze --exclude-editable > $(VENV)/audit/installed.txt
	$(VENV)/audit/bin/pip-audit --no-deps --disable-pip --requirement $(VENV)/audit/installed.txt
	$(BIN)/knuckle about

# The site of docs/, README's pages and the docstrings; a warning, such as a broken link, fails. `make test` builds it too.
docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open out/site/index.html; with the search: $(BIN)/python -m http.server -d out/site"

bench: $(VENV)/.dev
	$(BIN)/python tools/bench.py

# Draws the pictures and trains the networks that ship, from nothing; see docs/weights.md.
weights: $(VENV)/.dev
	KNUCKLE=$(BIN)/knuckle tools/train_weights.sh

clean:
	rm -rf $(VENV) $(GLTF)/node_modules build dist out .pytest_cache .ruff_cache
