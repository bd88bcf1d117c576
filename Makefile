# Needs a Python and nothing else: `make demo` and `make test` do all the set-up themselves.
# constraints.txt is the tested set of Python 3.11. Other Pythons (make demo PYTHON=python3.12) take the newest
# versions, since some packages of the set have no wheels for them; there pip brings torch's CUDA build, several GB.
PYTHON ?= python3.11
VENV ?= .venv
BIN = $(VENV)/bin
IS_311 = $(shell $(PYTHON) -c "import sys; print(sys.version_info[:2] == (3, 11))")
CONSTRAINTS = $(if $(filter True,$(IS_311)),-c constraints.txt)
PIP_INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check $(CONSTRAINTS)

.PHONY: install install-test demo test test-quick test-long lint docs bench

install: $(VENV)/installed
install-test: $(VENV)/installed-test

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -e .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP_INSTALL) -e '.[test]'
	touch $@

demo: install
	$(BIN)/alkit campaign run campaigns/quickstart.yaml

# A process that is done takes tests of the other one.
PARALLEL = -n auto --dist worksteal

test: install-test
	$(BIN)/python -m pytest -m "not long" $(PARALLEL) --cov=alkit --cov=surrogate --cov=generator --cov-report= $(PYTEST)
	$(BIN)/python tests/coverage_floors.py

test-quick: install-test
	$(BIN)/python -m pytest -m "not long and not campaign" $(PARALLEL) $(PYTEST)

test-long: install-test
	$(BIN)/python -m pytest -m long $(PYTEST)

lint: install-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tests/docstrings.py
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell alkit surrogate generator benchmarks campaigns docs examples tests README.md CHANGELOG.md CONTRIBUTING.md

# Warnings are errors: links that lead nowhere, pages in no table of contents, docstrings that do not parse.
docs: install-test
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "The site: build/docs/index.html"

bench: install
	$(BIN)/python benchmarks/end_to_end.py
