# Two commands do everything: `make serve` and `make test`. Both need only Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: serve test test-fast test-minimum lint definitions benchmark clean

serve: $(STAMP) ## set up, then serve resources/ on http://127.0.0.1:8080
	$(BIN)/apothecary serve

test: $(STAMP) ## set up, then run every test
	$(BIN)/python -m pytest -n auto --dist loadfile

test-fast: $(STAMP) ## the tests that need no server process and no load
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow"

lint: $(STAMP) ## formatting, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

definitions: $(STAMP) ## compile server/fhir/data from the official FHIR packages (needs npm, or the packages in .cache/)
	$(BIN)/python -m scripts.definitions

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $(STAMP)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
