# Thin on purpose: each target calls a component's own command, which also works without make.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# Knobs: PYTHON is the interpreter to build .venv with, ARGS goes to the command behind a target.
# CASE is what conformance runs; MINUTES and SEED are for the campaigns.
PYTHON ?=
ARGS ?=
CASE ?=
MINUTES ?= 15
SEED ?= 1

BIN := $(CURDIR)/.venv/bin
NODE := $(CURDIR)/tools/node.sh
GO := $(CURDIR)/tools/go.sh
BIOME := $(NODE) node $(CURDIR)/sdk-node/node_modules/@biomejs/biome/bin/biome
REDOCLY := REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true $(NODE) node node_modules/@redocly/cli/bin/cli.js

# Each a Go module of its own.
GO_MODULES := sdk-go conformance/drivers/go bench/sdk_programs/go

# Each stamp is touched when its step is done, and is out of date when its lock file is newer.
VENV := .venv/.stamp-venv
RUNTIME := .venv/.stamp-runtime
DEV := .venv/.stamp-dev
SPEC_TOOLS := spec/node_modules/.stamp
NODE_TOOLS := sdk-node/node_modules/.stamp

##@ Start here

.PHONY: help
help: ## list the targets (the default)
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nARGS="..." is passed to the command behind serve, bench, conformance, lock and the test-* targets.\n'

.PHONY: setup
setup: $(DEV) $(SPEC_TOOLS) $(NODE_TOOLS) ## install all that development needs, into .venv and node_modules only

.PHONY: serve
serve: $(RUNTIME) ## run a server on SQLite in ./.dev, setting up what is missing
	@mkdir -p .dev
	$(BIN)/jobwire serve --storage sqlite:///./.dev/jobs.db $(ARGS)

.PHONY: test
test: setup ## run everything: lint, verify and all tests
	@$(BIN)/python tools/run_tests.py

.PHONY: check
check: setup ## run before each commit: lint, verify and the quick tests, in under two minutes
	@$(BIN)/python tools/run_tests.py --quick

##@ One part at a time

.PHONY: fmt
fmt: $(DEV) $(NODE_TOOLS) ## format all code and apply the safe fixes
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
	cd sdk-node && $(NODE) npm run --silent fmt
	cd bench && $(BIOME) check --write .
	cd conformance && $(BIOME) check --write .
	$(GO) gofmt -w $(GO_MODULES)

# Parts that do not wait for each other, for -j2.
LINTS := lint-style lint-server lint-python lint-conformance lint-node lint-go
.PHONY: lint $(LINTS)
lint: $(LINTS) ## check formatting, lint rules, types and import directions

lint-server: $(DEV)
	cd server && $(BIN)/mypy
	cd server && $(BIN)/lint-imports

lint-conformance: $(DEV)
	cd conformance && $(BIN)/mypy

lint-python: $(DEV)
	cd sdk-python && $(BIN)/mypy

lint-style: $(DEV) $(NODE_TOOLS)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict tools
	cd bench && $(BIOME) ci .
	cd conformance && $(BIOME) ci .

lint-node: $(NODE_TOOLS)
	cd sdk-node && $(NODE) npm run --silent lint

lint-go: $(DEV)
	test -z "$$($(GO) gofmt -l $(GO_MODULES) | tee /dev/stderr)"
	for module in $(GO_MODULES); do $(GO) go -C $$module vet ./... || exit 1; done

.PHONY: generate
generate: $(DEV) ## write the code and tables that follow from spec/
	$(BIN)/python spec/codegen/generate.py
	$(BIN)/python -m jobwire_server.cli.reference docs

.PHONY: verify
verify: $(DEV) $(SPEC_TOOLS) ## check that generated files are current and the spec agrees with itself
	$(BIN)/python spec/codegen/generate.py --check
	$(BIN)/python -m jobwire_server.cli.reference docs --check
	$(BIN)/python spec/codegen/check_spec.py
	cd spec && $(REDOCLY) lint --config redocly.yaml openapi.yaml

.PHONY: test-server
test-server: $(DEV) ## test the server: make test-server ARGS="-k lease"
	cd server && $(BIN)/pytest -m "not acceptance" $(ARGS)

.PHONY: test-python
test-python: $(DEV) ## test the Python SDK
	cd sdk-python && $(BIN)/pytest $(ARGS)

.PHONY: test-node
test-node: $(DEV) $(NODE_TOOLS) ## test the Node SDK
	cd sdk-node && $(NODE) npm test -- $(ARGS)

.PHONY: test-go
test-go: $(DEV) ## test the Go SDK: make test-go ARGS="-run Pull"
	cd sdk-go && $(GO) go test -shuffle=on $(ARGS) ./...

.PHONY: test-acceptance
test-acceptance: $(DEV) ## test real server processes: kill, restart, drain
	cd server && $(BIN)/pytest -m acceptance $(ARGS)

.PHONY: conformance
conformance: $(DEV) ## run the whole conformance proof, or some cases: make conformance CASE='behaviour/*'
	$(if $(CASE),$(BIN)/python -m conformance run $(ARGS) '$(CASE)',cd conformance && $(BIN)/pytest -n 4 --whole -m 'not alone' $(ARGS))

.PHONY: bench
bench: $(DEV) ## measure a server on this machine
	$(BIN)/python bench/run.py $(ARGS)

##@ Now and then

.PHONY: campaign-crash
campaign-crash: $(DEV) ## kill a loaded server at all moments for MINUTES=15
	$(CAMPAIGN).crash.campaign $(MINUTES) $(SEED) $(RESULTS)/crash.json

.PHONY: campaign-power
campaign-power: $(DEV) ## cut the power at any write, fail any write, damage any page for MINUTES=15
	$(CAMPAIGN).power.campaign $(MINUTES) $(SEED) $(RESULTS)/power.json

.PHONY: campaign-fuzz
campaign-fuzz: $(DEV) ## send what nobody should send for MINUTES=15
	$(CAMPAIGN).fuzz.campaign $(MINUTES) $(SEED) $(RESULTS)/fuzz.json

.PHONY: campaign-soak
campaign-soak: $(DEV) ## steady load with a kill a minute for MINUTES=15; watches memory, files and handles
	$(CAMPAIGN).crash.soak $(MINUTES) $(SEED) $(RESULTS)/soak.json

.PHONY: recovery
recovery: $(DEV) $(NODE_TOOLS) ## hurt each SDK as networks and servers do, and measure how fast it is back
	cd conformance && $(BIN)/pytest recovery -m alone
	$(BIN)/python -m conformance recovery --save $(ARGS)

.PHONY: figures
figures: $(DEV) ## run the proofs and keep their figures in docs/results and docs/guarantees.md
	@rm -rf build/figures
	cd server && PROOF_FIGURES=$(CURDIR)/build/figures $(BIN)/pytest tests/proof $(ARGS)
	cd server && $(BIN)/python -m tests.proof.page collect $(CURDIR)/build/figures

.PHONY: figures-page
figures-page: $(DEV) ## write the tables of docs/guarantees.md anew from docs/results
	cd server && $(BIN)/python -m tests.proof.page write

.PHONY: sbom
sbom: $(DEV) ## write what the server is made of to build/sbom.json (CycloneDX)
	tools/sbom.sh

CAMPAIGN := cd server && $(BIN)/python -m tests.proof
RESULTS := $(CURDIR)/docs/results

.PHONY: lock
lock: $(VENV) ## compile the lock files anew; ARGS=--upgrade takes releases that are a week old or more
	$(COMPILE) tools/installer.in -o tools/installer.lock
	$(COMPILE) tools/node.in -o tools/node.lock
	$(COMPILE) tools/go.in -o tools/go.lock
	$(COMPILE) server/pyproject.toml --group server/pyproject.toml:build -o server/requirements.lock
	$(COMPILE) server/pyproject.toml requirements.in -c server/requirements.lock --overrides tools/overrides.txt -o requirements.lock

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --exclude-newer "1 week" --custom-compile-command "make lock" $(ARGS)

.PHONY: clean
clean: ## remove all that make has installed or built, but not the data in ./.dev
	rm -rf .venv spec/node_modules build server/dist sdk-python/dist
	rm -rf sdk-node/node_modules sdk-node/dist sdk-node/build
	find . -path ./.git -prune -o -type d \
	  \( -name __pycache__ -o -name .pytest_cache -o -name .mypy_cache -o -name .ruff_cache \
	     -o -name .hypothesis -o -name .import_linter_cache \) -prune -exec rm -rf {} +

# ── Set-up steps ──

$(VENV): tools/installer.lock
	@python=$$(tools/find-python.sh $(PYTHON)); \
	  echo "Setting up .venv with $$("$$python" --version)."; \
	  "$$python" -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
	  -r tools/installer.lock
	@touch $@

$(RUNTIME): $(VENV) server/requirements.lock server/pyproject.toml sdk-python/pyproject.toml
	@echo "Installing what the server needs."
	@tools/install.sh server/requirements.lock
	@$(INSTALL_OURS)
	@touch $@

$(DEV): $(VENV) requirements.lock server/pyproject.toml sdk-python/pyproject.toml
	@echo "Installing what development needs."
	@tools/install.sh requirements.lock
	@$(INSTALL_OURS)
	@touch $(RUNTIME) $@

INSTALL_OURS := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
  --editable server --editable sdk-python

$(SPEC_TOOLS): spec/package.json spec/package-lock.json tools/node.lock tools/node.sh | $(VENV)
	@echo "Installing the tools that check the spec."
	@cd spec && $(NODE) npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

# Not `npm ci`, which refuses a lock without the binaries of platforms that a mirror of the registry does not have.
$(NODE_TOOLS): sdk-node/package.json sdk-node/package-lock.json tools/node.lock tools/node.sh | $(VENV)
	@echo "Installing the tools that build the Node SDK."
	@cd sdk-node && $(NODE) npm install --no-save --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@
