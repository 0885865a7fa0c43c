# Everything starts here: `make demo` and `make test` need make and Python 3.11 or newer, nothing else.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-deep check format bench docs stress sanitize instructions clean

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
TEST  := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile
SECONDS ?= 600

help:
	@echo "make setup      create $(VENV) and install elman with its demo and developer extras"
	@echo "make demo       train a model on real surnames, score it, and ask it about yours (1 to 3 minutes)"
	@echo "make test       every test but the deep ones, docstring examples included"
	@echo "make test-deep  every test, at full depth (about an hour)"
	@echo "make check      formatting, lint, types"
	@echo "make format     put the formatting right"
	@echo "make bench      time elman: start-up, and training beside a plain PyTorch loop"
	@echo "make docs       build the documentation into docs/_build"
	@echo "make stress     run the C++ kernels in threads and forks for SECONDS=$(SECONDS)"
	@echo "make sanitize   run the tests of the C++ kernels under the sanitizers of GCC (about 5 minutes)"
	@echo "make instructions  count the kernels' instructions (valgrind), against the known counts"
	@echo "make clean      remove $(VENV) and what tools leave behind"

# The stamp is newer than what decides the installation, so a second `make setup` does nothing.
setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt scripts/setup.sh CMakeLists.txt $(wildcard src/elman/native/*) \
		$(wildcard src/elman/*/__init__.py) # the editable installation keeps a list of the packages
	@sh scripts/setup.sh $(VENV)
	@touch $@

demo: setup
	@$(BIN)/elman demo names

test: setup
	$(TEST)

test-deep: setup
	ELMAN_PROFILE=deep $(TEST) -m ""

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python benchmarks/help_time.py
	$(BIN)/python benchmarks/end_to_end.py

docs: setup
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

stress: setup
	$(BIN)/python scripts/stress_kernels.py $(SECONDS)

sanitize: setup
	sh scripts/sanitize.sh $(BIN)/python

instructions: setup
	$(BIN)/python scripts/instructions.py

clean:
	rm -rf $(VENV) build dist docs/_build .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
