# What one does with the project. `make run` needs Python 3.11 or newer and nothing else; every
# target installs what it needs into .venv the first time.

PORT ?= 6379
METRICS_PORT ?= 9121
MAXMEMORY ?= 200mb

BIN := .venv/bin
DATABASE := data/shop.db
SOURCES := server policies predictor tests
# mypy and import-linter cannot see that the folder foo/ is antecache.foo: a link shows them.
LINK := .link/antecache
FIND_PYTHON := for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	"$$name" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { command -v "$$name"; break; }; done

.DEFAULT_GOAL := help
.PHONY: help run demo test check format bench-hotpath bench-memory bench-policies bench-replay bench-unseen bench-restart bench-harmless bench-transfer bench-safety
.PHONY: bench-models bench-prediction image-test test-clients fuzz clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /|/' | \
		while IFS='|' read -r name what; do printf '%-16s %s\n' "$$name" "$$what"; done

run: .venv/.installed $(DATABASE) ## serve a sample database on PORT (6379), metrics on METRICS_PORT (9121)
	@$(BIN)/antecache serve --port $(PORT) --metrics-port $(METRICS_PORT) \
		--maxmemory $(MAXMEMORY) --backing sqlite:///$(DATABASE)

demo: .venv/.installed-demo ## watch two servers, one that predicts and one that does not
	@$(BIN)/antecache demo $(ARGS)

test: .venv/.installed-dev ## the test suite
	@$(BIN)/python -m pytest $(ARGS)

check: .venv/.installed-dev $(LINK) ## format, lint, types, layers, the project's own guards
	@$(BIN)/ruff format --check --quiet --output-format concise $(SOURCES) || \
		{ echo "not formatted: run make format"; exit 1; }
	@$(BIN)/ruff check --quiet $(SOURCES)
	@MYPYPATH=.link $(BIN)/mypy --no-error-summary \
		-p antecache.server -p antecache.policies -p antecache.predictor
	@PYTHONPATH=.link $(BIN)/lint-imports --config pyproject.toml >.link/layers 2>&1 || \
		{ cat .link/layers; exit 1; }
	@$(BIN)/python -m pytest -q --no-header tests/test_project.py

format: .venv/.installed-dev ## rewrite the files as `make check` wants them
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

bench-hotpath: .venv/.installed-dev ## what a command costs, beside redis-server
	@$(BIN)/python tests/bench/hotpath.py $(ARGS)

bench-replay: .venv/.installed-dev ## a recorded trace with and without prediction
	@$(BIN)/python tests/bench/replay.py $(ARGS)

bench-memory: .venv/.installed-dev ## what keys cost in memory, and whether maxmemory holds
	@$(BIN)/python tests/bench/memory.py $(ARGS)

bench-unseen: .venv/.installed-dev ## reads of ids that never occurred, in the sample shop
	@$(BIN)/python tests/bench/unseen.py $(ARGS)

bench-restart: .venv/.installed-dev ## reads until a restarted server hits as often as before
	@$(BIN)/python tests/bench/restart.py $(ARGS)

bench-harmless: .venv/.installed-dev ## what prediction costs where nothing can be predicted
	@$(BIN)/python tests/bench/harmless.py $(ARGS)

bench-safety: .venv/.installed-dev ## attacks and accidents: what prediction does then
	@$(BIN)/python tests/bench/safety.py $(ARGS)

bench-models: .venv/.installed-dev ## counting against models of scikit-learn, on real traces
	@$(BIN)/python tests/bench/models.py $(ARGS)

bench-transfer: .venv/.installed-dev ## what a model is worth to keys that it has never seen
	@$(BIN)/python tests/bench/transfer.py $(ARGS)

bench-policies: .venv/.installed-dev ## eviction policies over real traces, against libCacheSim
	@$(BIN)/python tests/bench/policies.py $(ARGS)

bench-prediction: .venv/.installed-dev ## prediction over real traces at equal total memory, in hours
	@$(BIN)/python tests/bench/prediction.py $(ARGS)

fuzz: .venv/.installed-dev ## a million frames that no client should send
	@$(BIN)/python tests/bench/fuzz.py $(ARGS)

test-clients: .venv/.installed-dev ## stock client libraries and frameworks (NAMES="celery ioredis")
	@$(BIN)/python tests/clients/run.py $(NAMES)

image-test: .venv/.installed-dev ## build the container image, start it and ask it
	@$(BIN)/python -m pytest -m image -s tests/image $(ARGS)

clean: ## remove everything that was made here, the sample database too
	rm -rf .venv .link .clients build dist data *.egg-info .mypy_cache .ruff_cache .pytest_cache \
		.import_linter_cache .hypothesis .coverage

$(DATABASE): | .venv/.installed
	@mkdir -p $(@D)
	@$(BIN)/antecache shop $@

$(LINK):
	@mkdir -p .link
	@ln -sfn .. $(LINK)

.venv/bin/python:
	@python="$$($(FIND_PYTHON))"; \
	test -n "$$python" || { echo "no Python 3.11 or newer with the venv module found"; exit 1; }; \
	echo "making .venv with $$python"; \
	"$$python" -m venv .venv || { rm -rf .venv; echo "is python3-venv installed?"; exit 1; }

.venv/.installed: pyproject.toml | .venv/bin/python
	@echo "installing antecache into .venv"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable .
	@touch $@

.venv/.installed-demo: pyproject.toml | .venv/.installed
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[demo]'
	@touch .venv/.installed $@

.venv/.installed-dev: pyproject.toml | .venv/bin/python
	@echo "installing antecache and its development tools into .venv"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[dev]'
	@touch .venv/.installed $@
