# Each target sets up what it needs in .venv, from a bare checkout; a second run finds it ready.
#
#   make ui      the page to click on, at http://127.0.0.1:7860 (PORT=... for another)
#   make test    the tests, with a browser at hand         make check   formatting, lint, types, house rules
#   make wheel   build the wheel and try it on its own     make bench   this machine's figures
#   make soak    the tests that run for minutes            make clean   remove everything that make made

.DEFAULT_GOAL := help
.PHONY: help ui test check bench soak wheel browser clean FORCE

# Nothing of the caller's Python set-up reaches the tools below.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONWARNINGS PYTEST_ADDOPTS PYTEST_PLUGINS VIRTUAL_ENV
export PYTHONNOUSERSITE := 1
export PYTHONSAFEPATH := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1

RUN := .venv/bin/python
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

# A .venv that was left half made, that moved with its folder, or whose Python is gone is made anew.
healthy := $(shell [ ! -e .venv/.unfinished ] && [ "$$(cat .venv/.home 2>/dev/null)" = "$$(pwd -P)" ] \
    && $(RUN) -c 'print("yes")' 2>/dev/null)

# $(call install,WHAT): into .venv. A pip that is killed leaves .unfinished behind; one that gives up by itself does not.
define install
@[ -n "$(PYTHON)" ] || { echo "clickmask needs Python 3.11 or newer: none was found. Try: make PYTHON=/path/to/python3"; exit 1; }
@if [ -e .venv/.unfinished ] || [ "$$(cat .venv/.home 2>/dev/null || echo "$$(pwd -P)")" != "$$(pwd -P)" ] || ! $(RUN) -c '' 2>/dev/null; \
    then rm -rf .venv; fi
@mkdir -p .venv && touch .venv/.unfinished
@[ -x $(RUN) ] || { echo "Setting up .venv. The first time brings PyTorch: gigabytes, minutes."; $(PYTHON) -m venv .venv; } \
    || { echo "Could not make .venv. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
@quiet=; [ ! -e .venv/.home ] || { quiet=--quiet; echo "Bringing .venv up to date: $(1)"; }; status=0; \
    $(RUN) -m pip install $$quiet --disable-pip-version-check -e "$(1)" || status=$$?; \
    [ $$status -gt 1 ] || rm .venv/.unfinished; exit $$status
@.ci/system-libraries $(RUN)
@echo "$$(pwd -P)" > .venv/.home
@touch $@
endef

.venv/.run: pyproject.toml $(if $(healthy),,FORCE)
	$(call install,.[ui])

.venv/.dev: pyproject.toml .venv/.run
	$(call install,.[dev])

.venv/.bench: pyproject.toml .venv/.run
	$(call install,.[bench])

help:
	@sed -n '3,6s/^# *//p' Makefile

PORT ?= 7860
ui: .venv/.run
	.venv/bin/clickmask ui --port $(PORT)

# For the browser tests, and the page's benchmarks.
browser:
	@tests/browser/get_chromium.sh

# Two and more at a time: a file stays with one worker, and files with a browser come last, as collected.
test: .venv/.dev browser
	$(RUN) -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

soak: .venv/.dev browser
	$(RUN) -m pytest -m soak

check: .venv/.dev
	$(RUN) -m ruff format --check
	$(RUN) -m ruff check
	$(RUN) -m pyright --pythonpath $(RUN)
	$(RUN) -m pytest -q tests/house

bench: .venv/.bench browser
	$(RUN) benchmarks/run.py

wheel: .venv/.dev
	$(RUN) tests/wheel/smoke.py

clean:
	rm -rf .venv build dist out *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
