# One command for each thing a developer does. The work is in scripts/, so that CI and people run the same.
# Deliberately absent: other profiles. Everything is built with --release, so that RocksDB is compiled once.

.DEFAULT_GOAL := help
.PHONY: help dev build try test lint demo bench sim jepsen mutants fuzz clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: ## Build, and run one durable node on 127.0.0.1:8080 until Ctrl-C
	@scripts/dev.sh

build: ## Check the machine, then build timerd, timerctl and timer-bench
	@scripts/preflight.sh
	@scripts/build.sh

try: ## Run one node in memory: no C++, no RocksDB, nothing is kept
	@scripts/try.sh

test: ## Check the machine, build, run every test
	@scripts/preflight.sh
	@scripts/test.sh

lint: ## Format, clippy, licences and sources of dependencies
	@scripts/preflight.sh
	@scripts/lint.sh

demo: ## Three nodes, thirty timers, one kill -9: about a minute, ends by itself
	@scripts/preflight.sh
	@scripts/demo.sh

bench: ## Measure creates, callbacks and lateness on this machine
	@scripts/preflight.sh
	@scripts/bench.sh $(ARGS)

sim: ## Simulate whole clusters with faults: 100 seeds, or SEEDS=n FROM=m, or one: SEED=n
	@scripts/sim.sh

jepsen: ## Break a cluster of real processes and judge it (root; ARGS="run --profile power")
	@scripts/preflight.sh
	@jepsen/run.sh $(ARGS)

mutants: ## Put known bugs back one by one and let the simulation find them; ONLY=name for one
	@scripts/mutants.sh

fuzz: ## Attack what reads bytes from outside: TARGET=time SECONDS=60, or each in turn
	@scripts/fuzz.sh "$(TARGET)" "$(SECONDS)"

clean: ## Remove what this workspace compiled; the dependencies (RocksDB) stay
	@scripts/clean.sh
