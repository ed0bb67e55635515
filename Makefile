# Two commands do everything: `make serve` and `make test`. Both need only Python 3.11+ and make.
# Another interpreter: `make PYTHON=python3.13 test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.installed
DEVELOPMENT := $(VENV)/.installed-dev
MINIMUM := .venv-minimum
PYTEST := -m pytest -n auto --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help serve test test-fast test-minimum lint format definitions search-keys search-walk benchmark clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 15

serve: $(RUNTIME) ## set up, then serve resources/ on http://127.0.0.1:8080
	$(BIN)/apothecary serve

test: $(DEVELOPMENT) ## set up, then run every test
	$(BIN)/python $(PYTEST)

test-fast: $(DEVELOPMENT) ## the tests that take no more than a moment each
	$(BIN)/python $(PYTEST) -m "not slow"

test-minimum: $(MINIMUM)/.installed ## every test, with the oldest dependencies that pyproject.toml allows
	$(MINIMUM)/bin/python $(PYTEST)

lint: $(DEVELOPMENT) ## style, formatting, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEVELOPMENT) ## let ruff mend style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

definitions: $(DEVELOPMENT) ## compile server/apothecary/fhir/data from the official FHIR packages (needs npm, or the packages in .cache/)
	$(BIN)/python -m scripts.definitions

search-keys: $(DEVELOPMENT) ## work out which search parameters of R4 and R4B share their index rows with R5 (needs npm, or the packages in .cache/)
	$(BIN)/python -m scripts.search_keys

search-walk: $(DEVELOPMENT) ## ask by every search parameter of every release for every official example (some minutes)
	$(BIN)/python -m scripts.fetch_examples
	$(BIN)/python -m pytest -n auto --dist load tests/search/test_every_release.py tests/scripts/test_search_keys.py

benchmark: $(DEVELOPMENT) ## throughput against a bare Flask app (wants wrk), the cold start, and writes
	$(BIN)/python -m benchmarks.http
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.writes
	$(BIN)/python -m benchmarks.validate_start
	$(BIN)/python -m benchmarks.versions_http

clean: ## forget the environments and every cache
	rm -rf $(VENV) $(MINIMUM) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# A stamp is written only after everything before it worked: an environment without one is half made and made anew.
$(RUNTIME): pyproject.toml
	@$(call require_python)
	@$(call make_venv,$(VENV),$(RUNTIME))
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(DEVELOPMENT): $(RUNTIME)
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

$(MINIMUM)/.installed: pyproject.toml
	@$(call require_python)
	@$(call make_venv,$(MINIMUM),$@)
	$(MINIMUM)/bin/python -m pip install --quiet uv
	$(MINIMUM)/bin/uv pip install --quiet --python $(MINIMUM)/bin/python --resolution lowest-direct --editable . --group dev
	@touch $@

# Debian's python3 comes without ensurepip, so it can start `venv` but not finish it.
define require_python
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "Apothecary needs Python 3.11 or newer, and '$(PYTHON)' is not. Name one: make PYTHON=python3.12 ..." >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "'$(PYTHON)' cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
endef

# pip learnt --group (dependency groups, PEP 735) in 25.1.
define make_venv
{ { test -e $(2) && $(1)/bin/python -c '' 2>/dev/null; } || $(PYTHON) -m venv --clear $(1); } && \
$(1)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
endef
