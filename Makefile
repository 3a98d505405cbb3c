# pg_weir: build, install, test, try, measure. `make help` lists the targets.

PG               ?= 15
PG_CONFIG        ?= $(shell scripts/pg_config.sh $(PG))
CARGO_TARGET_DIR ?= $(HOME)/.cache/pg_weir/target
SCALE            ?= 0.1
CARGO            ?= cargo
# Where DuckDB's library is, or is put by `make setup`.
DUCKDB_LIB_DIR   ?= $(HOME)/.cache/pg_weir/duckdb

export CARGO_TARGET_DIR PG DUCKDB_LIB_DIR

RELEASE := $(CARGO_TARGET_DIR)/release
# PG_CONFIG is resolved when a recipe runs, that is after `setup` has installed what it needs.
WITH_PG  = PG_CONFIG="$(PG_CONFIG)" PGRX_PG_CONFIG_PATH="$(PG_CONFIG)"
# One cargo call per package: in one call the features of all of them would be united, and every dependency
# they share would be compiled once more than `cargo build -p` needs.
EXT_FEATURES = --no-default-features --features pg$(PG)

.PHONY: help setup build tools install test demo demo-stop bench fmt lint clean-data

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what is missing: Debian packages, DuckDB's library
	@scripts/setup.sh

build: setup ## build the extension and weir-engine (PG=15 by default)
	$(WITH_PG) $(CARGO) build --release --locked -p pg_weir $(EXT_FEATURES)
	$(CARGO) build --release --locked -p weir_engine

tools: setup
	$(CARGO) build --release --locked -p weir_bench
	$(CARGO) build --release --locked -p weir_differential
	$(CARGO) build --release --locked -p weir_e2e

install: build ## install into the Postgres of pg_config
	$(WITH_PG) scripts/install.sh "$(RELEASE)"

test: install tools ## every test; ends with "N passed, N failed"
	$(WITH_PG) tests/run.sh

demo: install tools ## a private server with TPC-H (SCALE=0.1), Postgres and pg_weir side by side
	$(WITH_PG) SCALE=$(SCALE) scripts/demo.sh

demo-stop: ## stop the server of the demo
	$(WITH_PG) scripts/pg.sh stop demo

bench: install tools ## measure against the rivals, write bench/RESULTS.md and bench/REMOTE.md
	$(WITH_PG) bench/run.sh
	$(WITH_PG) bench/remote.sh

fmt: ## format the sources
	$(CARGO) fmt --all

lint: setup ## formatting, clippy, shellcheck
	$(CARGO) fmt --all --check
	$(WITH_PG) $(CARGO) clippy --release --locked -p pg_weir $(EXT_FEATURES) --all-targets -- -D warnings
	$(CARGO) clippy --release --locked --workspace --exclude pg_weir --all-targets -- -D warnings
	@scripts/lint_shell.sh

clean-data: ## stop the private servers and delete their data
	$(WITH_PG) scripts/pg.sh clean
