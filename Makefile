# VENV=DIR puts the environment elsewhere; PYTHON=... chooses the interpreter it is made from; PYTEST_WORKERS=N
# shares the tests among N processes of one thread each, a file at a time (0: one after the other, as plain pytest does).
VENV ?= .venv
PYTHON ?= python3
PYTEST_WORKERS ?= 2
RUN = $(VENV)/bin
PYTEST = OMP_NUM_THREADS=1 $(RUN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder
PIP = $(RUN)/python -m pip install -q --disable-pip-version-check -c constraints.txt
DEMO = "speaker" "speaker(flaw='no_colour')" "speaker(flaw='miscount')" "speaker(flaw='invent')" human nearest shuffled constant

.PHONY: setup demo test test-torch check docs board

setup: $(VENV)/.ready-dev  ## everything that development and the built-in parts need

demo: $(VENV)/.ready-base  ## caption the drawn world with eight captioners and print the table
	@for captioner in $(DEMO); do $(RUN)/capbench run "$$captioner" -b scenes --runs runs/demo > /dev/null || exit 1; done
	@$(RUN)/capbench leaderboard scenes --runs runs/demo

test: $(VENV)/.ready-test  ## all tests
	$(PYTEST)

test-torch: $(VENV)/.ready-torch  ## the tests that load small models with torch, or start Ray; give it a VENV of its own
	$(PYTEST) -m torch

check: $(VENV)/.ready-dev  ## formatting, lint, types, layers, and tables that are current
	$(RUN)/ruff format --check . && $(RUN)/ruff check . && $(RUN)/mypy && $(RUN)/lint-imports
	$(RUN)/python tools/docs.py --check
	for board in leaderboards/*/; do $(RUN)/capbench leaderboard --check $$board || exit 1; done

docs: $(VENV)/.ready-dev  ## write the generated parts of the docs again
	$(RUN)/python tools/docs.py

board: $(VENV)/.ready-base  ## write the tables of leaderboards/ again from their entries
	for board in leaderboards/*/; do $(RUN)/capbench leaderboard --rewrite $$board || exit 1; done

$(VENV)/.ready-base: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e . && touch $@

$(VENV)/.ready-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e '.[test]' && touch $@ $(VENV)/.ready-base

$(VENV)/.ready-torch: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e '.[test,bert,clip,hf,export,sentences,paint,lpips,ray,data,chat,server]' && touch $@

$(VENV)/.ready-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e '.[dev]' && touch $@ $(VENV)/.ready-base $(VENV)/.ready-test

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
