# Two commands do everything: `make serve` and `make test`. Both need only Python 3.11+ and make.
# Another interpreter: `make PYTHON=python3.13 test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.installed
DEVELOPMENT := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip
MINIMUM := .venv-minimum
NEWEST := .venv-newest
HA := .venv-ha
# PostgreSQL's account runs it: where that may not look into root's home, HA_PYTHON=/usr/bin/python3.
HA_PYTHON ?= $(PYTHON)
CLIENTS := .venv-clients
SUPPLY := .venv-supply
LOCKING := .venv-lock
UV := $(LOCKING)/bin/uv
UPGRADE ?= --upgrade
# A file stays with one process while its turn lasts; who has nothing left takes half of what another still has.
PYTEST := -m pytest -n auto --dist worksteal

# The tests start hundreds of processes, and without compiled modules each would take half a second of processor more.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help serve test test-fast test-mass test-minimum test-newest test-catalogue test-clients test-heavy test-ha validator-tests sbom audit lint lock format definitions search-keys search-walk page-walk fuzz benchmark clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 15

serve: $(RUNTIME) ## set up, then serve resources/ on http://127.0.0.1:8080
	$(BIN)/apothecary serve

test: $(DEVELOPMENT) ## set up, then run every test
	@$(call fetch_packages,$(VENV))
	$(BIN)/python $(PYTEST)

test-fast: $(DEVELOPMENT) ## what shows most defects within a minute: two cases of each table, on SQLite, without other processes
	$(BIN)/python $(PYTEST) --fast

test-mass: $(DEVELOPMENT) ## every official example, many crashes, thousands of requests by chance: all of what `make test` samples
	@$(call fetch_packages,$(VENV))
	APOTHECARY_TEST_WHOLE=1 $(BIN)/python $(PYTEST) -m "mass or long"

test-minimum: $(MINIMUM)/.installed ## every test, with the oldest dependencies that pyproject.toml allows
	@$(call fetch_packages,$(MINIMUM))
	$(MINIMUM)/bin/python $(PYTEST)

test-newest: $(NEWEST)/.installed ## every test, with the newest dependencies that pyproject.toml allows
	@$(call fetch_packages,$(NEWEST))
	$(NEWEST)/bin/python $(PYTEST)

lint: $(DEVELOPMENT) ## style, formatting, types, the direction of imports, and dependencies that are used
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry server/apothecary

format: $(DEVELOPMENT) ## let ruff mend style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(UV) ## renew requirements/ with the newest versions that pyproject.toml allows; with UPGRADE= only what it changed
	$(compile_requirements)

test-catalogue: $(DEVELOPMENT) ## a catalogue as large as a nation's, in and out and in again (some two minutes)
	$(BIN)/python -m pytest -n 0 -m heavy -k sqlite tests/importers/test_national_catalogue.py

test-clients: $(DEVELOPMENT) $(CLIENTS)/.installed ## smart-fetch and DuckDB take what is exported from both databases (installs 370 MB)
	$(BIN)/python -m pytest -n 0 -m clients tests/bulk

test-heavy: $(DEVELOPMENT) ## what takes a minute or more: twelve thousand profiles, and the like
	$(BIN)/python -m pytest -n 0 -m heavy

test-ha: $(DEVELOPMENT) $(HA)/.installed ## kill, cut off and delay PostgreSQL nodes, and lose nothing (wants etcd and HAProxy; some minutes)
	$(BIN)/python -m deploy.backup.try_litestream --litestream $(HA)/bin/litestream
	$(BIN)/python -m deploy.patroni.try_failover --patroni $(HA)/bin/patroni

validator-tests: $(DEVELOPMENT) ## compare the validator's verdicts with HL7's, on HL7's own cases (fetches 93 MB with Maven)
	$(BIN)/python -m pytest -n 0 -m hl7_cases -s tests/validation

sbom: $(SUPPLY)/.installed $(RUNTIME) ## list what the installed package brings along, as CycloneDX: sbom.cdx.json
	$(SUPPLY)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file sbom.cdx.json $(VENV)

audit: $(SUPPLY)/.installed ## look for known weaknesses in requirements/ (asks pypi.org; says so where that is not reachable)
	$(SUPPLY)/bin/python -m scripts.audit

definitions: $(DEVELOPMENT) ## compile server/apothecary/fhir/data from the official FHIR packages (needs npm, or the packages in .cache/)
	$(BIN)/python -m scripts.definitions

search-keys: $(DEVELOPMENT) ## work out which search parameters of R4 and R4B share their index rows with R5 (needs npm, or the packages in .cache/)
	$(BIN)/python -m scripts.search_keys

search-walk: $(DEVELOPMENT) ## ask by every search parameter of every release for every official example (some minutes)
	$(BIN)/python -m scripts.fetch_examples
	$(BIN)/python -m pytest -n auto --dist load -m walk

page-walk: $(DEVELOPMENT) ## look at every page of the content in a browser (wants Chromium; some minutes); pictures in .screenshots/
	$(BIN)/python -m pytest -n 0 -m crawl tests/pages

fuzz: $(DEVELOPMENT) ## 100,000 requests by chance to real servers on both databases (about half an hour)
	$(BIN)/python -m scripts.fetch_examples
	$(BIN)/python -m tests.fuzz --requests 100000

benchmark: $(DEVELOPMENT) ## throughput against a bare Flask app (wants wrk), the cold start, and writes
	$(BIN)/python -m benchmarks.http
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.writes
	$(BIN)/python -m benchmarks.validate_start
	$(BIN)/python -m benchmarks.versions_http
	$(BIN)/python -m benchmarks.pages

clean: ## forget the environments and every cache
	rm -rf $(VENV) $(MINIMUM) $(NEWEST) $(HA) $(CLIENTS) $(SUPPLY) $(LOCKING) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# A stamp is written only after everything before it worked: an environment without one is half made and made anew.
# What is installed is what requirements/ says, to the hash; `make lock` renews it.
$(RUNTIME): pyproject.toml requirements/run.txt requirements/build.txt
	@$(call require_python)
	@$(call make_venv,$(VENV),$(RUNTIME))
	$(PIP) install --quiet --require-hashes --requirement requirements/run.txt --requirement requirements/build.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(DEVELOPMENT): $(RUNTIME) requirements/dev.txt
	$(PIP) install --quiet --require-hashes --requirement requirements/dev.txt
	@touch $@

$(UV): requirements/lock.txt
	@$(call require_python)
	@$(call make_venv,$(LOCKING),$(UV))
	$(LOCKING)/bin/python -m pip install --quiet --require-hashes --requirement requirements/lock.txt
	@touch $@

$(MINIMUM)/.installed $(NEWEST)/.installed: pyproject.toml $(UV)
	@$(call make_venv,$(@D),$@)
	$(UV) pip install --quiet --python $(@D)/bin/python --resolution $(RESOLUTION) --editable . --group dev
	@touch $@

$(HA)/.installed: requirements/ha.txt $(UV)
	$(UV) venv --quiet --clear --python $(HA_PYTHON) $(HA)
	$(UV) pip install --quiet --python $(HA)/bin/python --require-hashes --requirement requirements/ha.txt
	@touch $@

$(CLIENTS)/.installed $(SUPPLY)/.installed: .venv-%/.installed: requirements/%.txt $(UV)
	$(UV) venv --quiet --clear --python $(PYTHON) $(@D)
	$(UV) pip install --quiet --python $(@D)/bin/python --require-hashes --requirement $<
	@touch $@

$(MINIMUM)/.installed: RESOLUTION := lowest-direct
$(NEWEST)/.installed: RESOLUTION := highest

# Debian's python3 comes without ensurepip, so it can start `venv` but not finish it.
define require_python
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "Apothecary needs Python 3.11 or newer, and '$(PYTHON)' is not. Name one: make PYTHON=python3.12 ..." >&2; exit 1; }; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	echo "'$(PYTHON)' cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
endef

define make_venv
{ test -e $(2) && $(1)/bin/python -c '' 2>/dev/null; } || $(PYTHON) -m venv --clear $(1)
endef

# Only continuous integration must have them: elsewhere the tests that read the packages are skipped, and say so.
define fetch_packages
$(1)/bin/python -m scripts.fetch_examples || test -z "$$CI"
endef

# One file for all Pythons and systems. What several files name has one version; no host is written down.
COMPILE = $(UV) pip compile --quiet --universal --generate-hashes --no-annotate --python-version 3.11 \
	--custom-compile-command "make lock" $(UPGRADE) pyproject.toml
define compile_requirements
$(COMPILE) --group dev --group build --output-file requirements/dev.txt
$(COMPILE) --constraint requirements/dev.txt --output-file requirements/run.txt
$(COMPILE:pyproject.toml=) --constraint requirements/dev.txt --group build --output-file requirements/build.txt
$(COMPILE:pyproject.toml=) --constraint requirements/dev.txt --group lock --output-file requirements/lock.txt
$(COMPILE:pyproject.toml=) --constraint requirements/dev.txt --group ha --output-file requirements/ha.txt
$(COMPILE:pyproject.toml=) --constraint requirements/dev.txt --group clients --output-file requirements/clients.txt
$(COMPILE:pyproject.toml=) --constraint requirements/dev.txt --group supply --output-file requirements/supply.txt
endef
