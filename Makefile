# `make demo` and `make test` are all one needs; both set up everything by themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)

# Where this is set, each of the hundreds of processes that tests start would compile all of matokit for itself.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test test-slow test-browser peer-check chaos docs pictures lint bench wheel wheel-check constraints clean

help: ## Show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

install: $(INSTALLED) ## Set up .venv with everything, as pinned in constraints.txt

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "matokit needs Python 3.11 to 3.13, $(PYTHON) is another; say make PYTHON=python3.12"; exit 2; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (a minute or two) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: install ## From simulated services to reports and dashboards, with the truth beside them
	@$(BIN)/matokit demo $(ARGS)

test: install ## All quick tests, in under five minutes on two cores
	@$(BIN)/python -m pytest -n auto --dist worksteal -m 'not browser and not slow' $(ARGS)
	@echo "Left out, since they take twenty-five minutes: tests marked slow, which derive a home for each case, run whole passes and refreshes, kill processes or repeat histories (make test-slow), and browser (make test-browser); CI runs both."

test-slow: install ## The long tests that make test leaves out; what they repeat at random in short (make chaos: in full)
	@$(BIN)/python -m pytest -n auto --dist worksteal -m 'slow and not browser' $(ARGS)
	@echo "Random histories and kills were repeated a third to a tenth as often as make chaos does."

test-browser: install ## The pages in a real Chromium: CHROMIUM=... or on the path
	@$(BIN)/python -m pytest -n auto --dist loadfile -m browser tests/browser $(ARGS)

# Does not stand on `install`, which would make .venv anew for another PYTHON.
peer-check: ## The vendor's own client against the simulated Piwik PRO: make peer-check PYTHON=python3.12
	@if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then \
	  echo "Peer check left out: no Python 3.12 here (say make peer-check PYTHON=python3.12)."; exit 0; fi; \
	[ -x $(BIN)/python ] || $(MAKE) --no-print-directory install || exit 1; \
	if [ ! -e .venv-peer/.installed ]; then \
	  echo "Installing the peer into .venv-peer ..."; \
	  rm -rf .venv-peer && $(PYTHON) -m venv .venv-peer && \
	  .venv-peer/bin/python -m pip install --quiet --disable-pip-version-check 'piwik-pro-mcp==0.10.*' && \
	  touch .venv-peer/.installed || exit 1; fi; \
	$(BIN)/python tests/peer/peer_check.py .venv-peer/bin/python

chaos: install ## All that repeats itself in full: a week alone, half an hour of `up` with kills, hundreds of histories and kills
	@MATOKIT_CHAOS=long MATOKIT_CHAOS_MINUTES=30 $(BIN)/python -m pytest -m slow -s tests/chaos/test_week_alone.py \
	  tests/chaos/test_up.py tests/integration/test_dagster_storage.py tests/chaos/test_delivery_kills.py \
	  tests/chaos/test_piwik_pro_everything.py tests/chaos/test_tracking_kills.py tests/chaos/test_toolserver_load.py tests/integration/test_probe.py tests/sql/test_incremental.py $(ARGS)

lint: install ## ruff and mypy --strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: install ## Make the documents anew that follow from the code
	@$(BIN)/python -m matokit_pipelines.cli.setting_up > docs/settings.md
	@$(BIN)/python -m matokit_pipelines.cli.tables_document > docs/tables.md

pictures: install ## A picture of each report, dashboard and the weekly mail for docs/reports.md; needs a Chromium
	@$(BIN)/python -m tests.pictures docs/images

bench: install ## The benchmarks, printed as tables
	@$(BIN)/python benchmarks/first_slice.py && $(BIN)/python benchmarks/extract.py --short && $(BIN)/python benchmarks/derive.py --short && $(BIN)/python benchmarks/ticks.py --help >/dev/null && $(BIN)/python benchmarks/alerts.py --quick && $(BIN)/python benchmarks/reports.py && $(BIN)/python benchmarks/dashboards.py --sites simulated && $(BIN)/python benchmarks/toolserver.py --short

wheel: install ## Build the wheel into dist/
	@$(BIN)/python -m build --wheel --outdir dist .

wheel-check: wheel ## Install the wheel into an empty environment and run the demo from it
	@rm -rf dist/check && $(PYTHON) -m venv dist/check
	@dist/check/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt dist/*.whl
	@cd dist && check/bin/matokit demo --days 14 --events-per-day 100 --no-open --home check/demo

constraints: ## Pin what is installed now (versions only)
	@$(BIN)/python -m pip freeze --exclude-editable | sed -E 's/ @ .*//' | grep -E '^[A-Za-z0-9._-]+==' | sort -f > constraints.txt

clean: ## Remove what was made here
	@rm -rf $(VENV) .venv-peer .venv-bench dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
