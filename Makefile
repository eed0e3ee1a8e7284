# r2b-edge: make setup | demo | test | soak | lint | format | clean. Every target sets up what it needs first.
#
#   PYTHON=python3.12   the interpreter .venv is made with (default: the best one found)
#   JOBS=2              test processes (each may load torch and tensorflow: about 1 GB)
#   ARGS="-k passes"    further arguments of pytest
#   MINUTES=10           how long make soak runs

VENV := .venv
PY := $(VENV)/bin/python
JOBS ?= 2
ARGS ?=
MINUTES ?= 10
DEMO := build/demo
CIFAR10 := examples/cifar10

.DEFAULT_GOAL := help
.PHONY: help setup demo test soak lint format clean

help:
	@echo "make setup   .venv with everything, and the compilers and emulators (quick when nothing is to do)"
	@echo "make demo    export the trained CIFAR-10 network to a Raspberry Pi 4 and check it step by step under QEMU"
	@echo "make test    all tests"
	@echo "make soak    random networks through every executor for MINUTES=$(MINUTES); a failure becomes a test case"
	@echo "make lint    ruff, mypy --strict, clang-format (make format repairs what can be repaired)"
	@echo "make clean   remove what was built, but not $(VENV)"

setup:
	@scripts/setup.sh

demo: setup
	$(VENV)/bin/r2b-edge export $(CIFAR10)/r2b_cifar10.pt2 --target rpi4 -o $(DEMO) >/dev/null
	$(VENV)/bin/r2b-edge check $(DEMO) --samples $(CIFAR10)/samples.npy --labels $(CIFAR10)/labels.npy
	@echo "The whole report: $(DEMO)/report.html"

test: setup
	$(PY) -m pytest -n $(JOBS) $(ARGS)

soak: setup
	$(PY) -m tests.random_nets.soak --minutes $(MINUTES) --jobs $(JOBS)

lint: setup
	@scripts/lint.sh

format: setup
	@scripts/lint.sh --fix

clean:
	rm -rf build dist r2b-out *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
