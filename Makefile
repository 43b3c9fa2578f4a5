# Each target does all the set-up it needs, in .venv: a fresh machine needs only Python >= 3.11, make and a C++20
# compiler. CMake and Ninja come from the package index.

PYTHON ?= $(firstword $(foreach p,python3.14 python3.13 python3.12 python3.11 python3,$(if $(shell $p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $p),$p)))
VENV := .venv
BIN := $(VENV)/bin
# A change of these needs a new install: the compiled sources, the package, and how both are built.
SOURCES := $(shell find cpp python -type f -not -name '*.pyc' -not -name '.*') CMakeLists.txt pyproject.toml
# All tests of a file run in one worker, which renders its scans once. Files are taken in the order of their names: by
# number of tests, the longest ones would come last. One worker more than there are cores, since some tests wait for
# real time; one thread each for the libraries they call, since the workers take the cores.
PYTEST = PYTEST_XDIST_AUTO_NUM_WORKERS=$$(($$($(BIN)/python -c 'import os; print(os.cpu_count())') + 1)) OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-all bench docs lint cpp-test cross-test cuda-test cuda-build cuda-on-host-test clean
.DEFAULT_GOAL := demo

demo: $(VENV)/installed
	$(BIN)/lee demo -o demo

test: $(VENV)/installed-for-tests
	$(PYTEST) -m "not slow"

test-all: $(VENV)/installed-for-tests
	$(PYTEST)
	$(MAKE) cpp-test cross-test cuda-test

bench: $(VENV)/installed-for-tests
	@for bench in $(notdir $(basename $(wildcard bench/bench_*.py))) accuracy series_accuracy particles_accuracy metrology_accuracy; do echo && $(BIN)/python -m bench.$$bench || exit 1; done

# Links inside the site are checked with the build: one that leads nowhere is a warning, and an error here.
docs: $(VENV)/docs-tools
	$(BIN)/python -m sphinx -q -W --keep-going -E -b html docs build/docs
	@echo "open build/docs/index.html"

lint: $(VENV)/lint-tools
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	# Calls that Windows or macOS lack.
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin
	$(BIN)/stubtest lee._core
	find cpp tests -name '*.?pp' -o -name '*.cu*' -o -name '*.h' | xargs $(BIN)/clang-format --dry-run --Werror

cpp-test: $(VENV)/lint-tools
	export PATH="$(CURDIR)/$(BIN):$$PATH" && cmake --preset asan && cmake --build --preset asan && ctest --preset asan

# The C++ tests on other computers: on Windows, as MinGW-w64 and Wine stand in for it, and on 64-bit ARM, as QEMU does.
cross-test: cross-test-mingw cross-test-aarch64

cross-test-mingw: CROSS := x86_64-w64-mingw32-g++-posix wine
cross-test-aarch64: CROSS := aarch64-linux-gnu-g++ qemu-aarch64
cross-test-%: $(VENV)/installed-for-tests
	@for tool in $(CROSS); do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -n "$$missing" ]; then echo "cross-test-$*: skipped, there is no$$missing"; exit; fi; \
	export PATH="$(CURDIR)/$(BIN):$$PATH" && cmake --preset $* && cmake --build --preset $* && ctest --preset $*

# CUDA without a CUDA device: nvcc compiles the kernels that are shipped, and the tests of the device run on the host.
cuda-test: cuda-build cuda-on-host-test

NVCC := $(firstword $(shell command -v nvcc) $(wildcard /usr/local/cuda/bin/nvcc))
cuda-build: $(VENV)/installed-for-tests
ifeq ($(NVCC),)
	@echo "cuda-build: skipped, there is no nvcc"
else
	export PATH="$(CURDIR)/$(BIN):$$PATH" CUDACXX="$(NVCC)" && cmake --preset cuda && cmake --build --preset cuda
	# A foreign project that compiles no CUDA links the static library.
	$(BIN)/cmake --install build/cuda --prefix build/cuda-foreign/prefix >build/cuda-install.log
	export PATH="$(CURDIR)/$(BIN):$$PATH" && cmake -S tests/install -B build/cuda-foreign -G Ninja \
	    -DCMAKE_PREFIX_PATH=$(CURDIR)/build/cuda-foreign/prefix && cmake --build build/cuda-foreign
	build/cuda-foreign/foreign && build/cuda/tests/cpp/test_device
endif

ON_HOST := build/cuda-on-host
cuda-on-host-test: $(ON_HOST)/installed
	$(BIN)/ctest --test-dir $(ON_HOST)/build --output-on-failure
	LEE_REQUIRE_CUDA=1 PYTHONPATH=$(ON_HOST)/site $(PYTEST) -m "cuda and not slow"

$(ON_HOST)/installed: $(VENV)/installed-for-tests $(wildcard tests/cuda_on_host/* tests/cpp/*)
	$(BIN)/python -m pip install -q . --no-deps --upgrade --target $(ON_HOST)/site \
	    -Cbuild-dir=$(ON_HOST)/build -Ccmake.define.LEE_CUDA_ON_HOST=ON -Ccmake.define.LEE_TESTS=ON
	@touch $@

clean:
	rm -rf build demo

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: no Python >= 3.11 found; install one or give PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip

# Build folders are kept, so that the next install compiles only what changed.
$(VENV)/installed: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install -q '.[twin]' -Cbuild-dir=build/pip
	@touch $@

$(VENV)/installed-for-tests: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install -q '.[test,bench]' -Cbuild-dir=build/pip
	@touch $@ $(VENV)/installed

# mypy reads the installed packages' own types, so the package's dependencies must be there too.
$(VENV)/lint-tools: $(VENV)/installed-for-tests
	$(BIN)/python -m pip install -q --group lint
	@touch $@

$(VENV)/docs-tools: $(VENV)/installed
	$(BIN)/python -m pip install -q --group docs
	@touch $@
