# The commands of a developer. Each can be repeated: what is up to date is left alone.
# PYTHON=... chooses the interpreter that makes the virtual environments.

SHELL := /bin/bash
PYTEST_ARGS ?= -n auto

.PHONY: help demo test lint benchmarks docs clean
.SILENT:

help:
	echo 'make demo        install into .demo/venv and run a small real job twice'
	echo 'make test        install into .venv, check the sources, run all tests (PYTEST_ARGS=... passed on)'
	echo 'make lint        only the checks of the sources'
	echo 'make benchmarks  compare with the floor and with other tools, in one run'
	echo 'make docs        build the manual into site/'
	echo 'make clean       remove what these commands have made'

demo:
	scripts/make_venv.sh .demo/venv all
	demo/run.sh

test:
	scripts/test_packages.sh
	scripts/make_venv.sh --editable .venv test
	status=0; \
	scripts/lint.sh || status=1; \
	.venv/bin/python -m pytest --no-header $(PYTEST_ARGS) || status=1; \
	exit $$status

lint:
	scripts/make_venv.sh --editable .venv test
	scripts/lint.sh

benchmarks:
	scripts/make_venv.sh --editable .venv test
	.venv/bin/python -m benchmarks $(BENCHMARK_ARGS)
	$(if $(filter-out --quick,$(BENCHMARK_ARGS)),,set -e; for group in services launcher execution compiled insight; do .venv/bin/python -m benchmarks.$$group $(BENCHMARK_ARGS); done)

docs:
	scripts/make_venv.sh --editable build/docs-venv docs
	NO_MKDOCS_2_WARNING=1 build/docs-venv/bin/python -m mkdocs build --quiet --strict

clean:
	rm -rf .demo .venv build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find seamless tests benchmarks demo scripts -name __pycache__ -type d -prune -exec rm -rf {} +
