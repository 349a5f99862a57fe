# physreel: `make demo` is the whole product in one command. It needs Python 3.11 or newer and make.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TESTABLE := $(VENV)/.testable
PIP := $(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0 --editable

.PHONY: help install demo test test-all bench bench-peers clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

install: $(INSTALLED) ## make .venv with physreel and everything it needs (once)

# torch is named by its exact version, so that pip takes a CPU build where it is offered one.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "physreel needs Python 3.11 or newer; try: make install PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) '.[flows,export]'
	@touch $@

# LeRobot reads an export back in a test; its robots' and policies' packages stay away.
$(TESTABLE): $(INSTALLED)
	$(PIP) '.[dev]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps lerobot==0.4.4
	@touch $@

demo: $(INSTALLED) ## build a small dataset, train a model on it and judge it (15 minutes on 2 cores)
	$(BIN)/python flows/pipeline.py datasets/demo/recipe.toml --out out/demo

test: $(TESTABLE) ## run the tests (the long ones: make test-all); needs no GPU and no OpenGL
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile -m 'not slow'

test-all: $(TESTABLE) ## run the long tests too: 64 episodes of every family
	$(BIN)/python -m pytest --numprocesses 2 --dist load

bench: $(TESTABLE) ## measure rendering, building and storing beside the peers, one JSON line each
	$(BIN)/python benchmarks/render.py
	$(BIN)/python benchmarks/build.py
	$(BIN)/python benchmarks/scenes.py
	$(BIN)/python benchmarks/write.py
	$(BIN)/python benchmarks/size.py
	$(BIN)/python benchmarks/read.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/versions.py

# Two of them alone: they ask for a torchvision, and so for another torch, and use none of it.
bench-peers: $(TESTABLE) ## install what the benchmark of reading compares with
	$(PIP) '.[bench]'
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps \
	  mosaicml-streaming==0.13.0 litdata==0.2.76

clean: ## remove what the demo, the tests and the builds left (.venv stays)
	rm -rf out build dist .pytest_cache .hypothesis .ruff_cache *.egg-info
