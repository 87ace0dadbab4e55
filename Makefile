# Two commands matter: `make evaluate` and `make test`. Everything lands in .venv and runs/.
PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
CONSTRAINTS ?= constraints.txt
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS)
# On all cores: pip would take one, and over a minute. A few files of other packages are no Python of today.
COMPILE := $(BIN)/python -W ignore -m compileall -qq -j 0 .venv/lib || true

.DEFAULT_GOAL := help
# Notebooks run in a folder of their own, from which a relative one would not be found.
$(foreach name,RATIONALE_DATA RATIONALE_MODELS,$(if $($(name)),$(eval export $(name) := $(abspath $($(name))))))
# With real data or other models the bundled sample's notebooks stay as they are.
NOTEBOOKS := $(if $(RATIONALE_DATA)$(RATIONALE_MODELS),runs/notebooks,notebooks)

# Folders whose tests run no model and, but for those left out here, read little of the real data.
FAST := tests/eraser tests/rationale/explanations tests/rationale/llm tests/docs/test_house.py -k 'not real' $(addprefix --ignore=tests/eraser/,test_describe.py test_large.py metrics/test_matrices.py)

.PHONY: help evaluate app notebooks docs test test-fast test-slow test-adapters test-browser test-faults test-families fuzz audit check lint types format clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/models: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv .venv
	$(PIP) -e '.[models]'
	@touch $@

.venv/app: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv .venv
	$(PIP) -e '.[app]'
	@touch $@ .venv/models

.venv/dev: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv .venv
	$(PIP) --no-compile -e '.[dev]'
	@$(COMPILE)
	@touch $@ .venv/app .venv/docs .venv/models

.venv/notebooks: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv .venv
	$(PIP) -e '.[notebooks]'
	@touch $@ .venv/models

.venv/docs: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv .venv
	$(PIP) -e '.[docs]'
	@touch $@ .venv/models

.venv/audit: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv .venv
	$(PIP) -e '.[audit]'
	@touch $@ .venv/models

evaluate: .venv/models ## Score seven rationale methods on the bundled sample; writes runs/sample-test
	$(BIN)/rationale evaluate --dataset sample --precision auto --ig-steps 10 --inside --out runs/sample-test

app: .venv/app ## Open the viewer with the runs in runs/
	$(BIN)/rationale app $(if $(wildcard runs),--run runs)

notebooks: .venv/notebooks ## Run the notebooks, on RATIONALE_DATA and RATIONALE_MODELS if set
	@[ $(NOTEBOOKS) = notebooks ] || { mkdir -p $(NOTEBOOKS) && cp notebooks/*.py notebooks/jupytext.toml $(NOTEBOOKS); }
	$(BIN)/jupytext --quiet --to ipynb $(NOTEBOOKS)/[0-9]_*.py
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) -o addopts= -o filterwarnings= --nbmake --overwrite --durations=0 $(NOTEBOOKS)/[0-9]_*.ipynb
	$(BIN)/python notebooks/tidy.py $(NOTEBOOKS)/[0-9]_*.ipynb

docs: .venv/docs ## Build the documentation site into site/, warnings as errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

test: .venv/dev ## Run the tests, JOBS files at a time; not those of test-slow, test-families, test-browser, test-faults
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not faults and not families and not slow" --ignore=tests/browser

test-fast: .venv/dev ## Run the tests of data, metrics, formats and layout, which need no model and no real data: about 90 seconds
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow" $(FAST)

test-slow: .venv/dev ## Run the tests that take several seconds each
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "slow and not faults and not families" --ignore=tests/browser

test-families: .venv/dev ## Run everything on a small model of every family; writes docs/families.json
	$(BIN)/python -m pytest -n $(JOBS) --junitxml=runs/families.xml tests/families
	$(BIN)/python -m scripts.model_families runs/families.xml docs/families.json

test-browser: .venv/dev ## Use the viewer in headless Chromium
	$(BIN)/python -m pytest -rs -s tests/browser

test-adapters: .venv/dev ## Read objects of shap, lime, captum, inseq, ferret and interpreto, each in an environment of its own
	$(BIN)/python -m scripts.adapters

test-faults: .venv/dev ## Kill processes, fill disks, run twice at once and on many workers; finished work must be kept
	$(BIN)/python -m pytest -m faults

fuzz: .venv/dev ## Try a hundred thousand corrupted inputs, different on every run: a right answer or a clear error
	RATIONALE_FUZZ=$${RATIONALE_FUZZ:-20} $(BIN)/python -m pytest tests/fuzz

audit: .venv/audit ## List known vulnerabilities and licences of the installed packages
	$(BIN)/python scripts/audit.py

lint: .venv/dev ## Style and likely bugs (ruff)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/dev ## Types (mypy, strict)
	$(BIN)/mypy

check: lint types test ## Everything a change must pass: lint, types, tests

format: .venv/dev ## Format and fix the code (ruff)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## Remove the environment, builds and caches
	rm -rf .venv .venv-adapters build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
