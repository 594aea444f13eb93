# make run                              the demonstration, offline, into ./volume
# make run MANIFEST=m.yaml VOLUME=/dir  a real manifest onto a real volume
# make test [ARGS="-k name"]            the tests; what the machine lacks is skipped and named
# make check                            lint, format, types
# make docs                             the documentation as a site, in build/docs
# make reference                        the pages and tables in docs/ that are written by the program
# make bench [ARGS="--only a --rounds 3"]  the benchmark beside other downloaders
# make torture [ARGS="--seconds 150"]   writers on one volume, killed again and again; needs root
# make sharing [ARGS="--writers 1,2"]   how long 1, 2, 4 and 8 hosts take to fill one volume; needs root
#
# Set-up is done by itself, in .venv, without root. Another interpreter: make test PYTHON=python3.12 VENV=.venv-3.12

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-annotate

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test check format docs reference bench torture sharing requirements clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

run: $(VENV)/.run
ifdef MANIFEST
	$(BIN)/prefetch run $(MANIFEST) $(if $(VOLUME),--volume "$(VOLUME)")
else
	$(BIN)/prefetch demo $(if $(VOLUME),--volume "$(VOLUME)")
endif

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev
	$(BIN)/sphinx-build --fail-on-warning --keep-going --nitpicky --quiet -b html -c docs . build/docs

reference: $(VENV)/.dev
	set -e; for name in settings commands manifest metrics scaling access; do $(BIN)/python docs/make_$$name.py; done
	$(BIN)/prefetch schema > manifests/manifest.schema.json

bench: $(VENV)/.dev
	$(BIN)/python -m tests.bench $(ARGS)

torture: $(VENV)/.dev
	$(BIN)/python -m tests.torture $(ARGS)

sharing: $(VENV)/.dev
	$(BIN)/python -m tests.torture.sharing $(ARGS)

requirements: $(VENV)/.dev
	$(LOCK) pyproject.toml -o requirements/run.txt
	$(LOCK) pyproject.toml --group dev -c requirements/run.txt -o requirements/dev.txt
	$(LOCK) --group build -c requirements/dev.txt -o requirements/build.txt

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# A venv without pip is one whose making was cut short, so pip is what tells that it is there.
$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'prefetch needs Python 3.11 or newer, and $(PYTHON) is not. Name one: make PYTHON=python3.12' >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) cannot make virtual environments: install its venv part (Debian, Ubuntu: python3-venv)' \
			'or name another interpreter with make PYTHON=...' >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt requirements/build.txt pyproject.toml | $(BIN)/pip
	$(INSTALL) --require-hashes -r requirements/run.txt -r requirements/build.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/pip
	$(INSTALL) --require-hashes -r requirements/dev.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.run $@
