# Each target does all the set-up it needs in .venv: on a fresh machine Python >= 3.11, make and a C++20 compiler are
# enough. CMake and Ninja come from the package index.

PYTHON ?= $(firstword $(foreach p,python3.14 python3.13 python3.12 python3.11 python3,$(if $(shell $p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $p),$p)))
VENV := .venv
BIN := $(VENV)/bin
# What a new install must follow: the compiled sources, the package, and how both are built.
SOURCES := $(shell find cpp python -type f -not -name '*.pyc' -not -name '.*') CMakeLists.txt pyproject.toml
PYTEST := $(BIN)/python -m pytest

.PHONY: demo test test-all bench lint cpp-test clean
.DEFAULT_GOAL := demo

demo: $(VENV)/installed
	$(BIN)/lee demo -o demo

test: $(VENV)/installed-for-tests
	$(PYTEST) -m "not slow"

test-all: $(VENV)/installed-for-tests
	$(PYTEST)
	$(MAKE) cpp-test

bench: $(VENV)/installed-for-tests
	@for bench in $(notdir $(basename $(wildcard bench/bench_*.py))) accuracy; do echo && $(BIN)/python -m bench.$$bench || exit 1; done

lint: $(VENV)/lint-tools
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/stubtest lee._core
	find cpp tests -name '*.?pp' -o -name '*.cu*' -o -name '*.h' | xargs $(BIN)/clang-format --dry-run --Werror

cpp-test: $(VENV)/lint-tools
	export PATH="$(CURDIR)/$(BIN):$$PATH" && cmake --preset asan && cmake --build --preset asan && ctest --preset asan

clean:
	rm -rf build demo

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: no Python >= 3.11 found; install one or give PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip

# Build folders are kept, so that a repeated install compiles only what changed.
$(VENV)/installed: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install -q . -Cbuild-dir=build/pip
	@touch $@

$(VENV)/installed-for-tests: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install -q '.[test,bench]' -Cbuild-dir=build/pip
	@touch $@ $(VENV)/installed

# mypy reads the installed packages' own types, so the package's dependencies must be there too.
$(VENV)/lint-tools: $(VENV)/installed-for-tests
	$(BIN)/python -m pip install -q --group lint
	@touch $@
