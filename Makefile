# The commands of this repository. Options go into ARGS: make run ARGS="--duration 20 --seed 7"
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup build run test lint format train eval bench prove fuzz storm mutants reactions \
  endurance clean
ARGS ?=
ENV := . tools/env.sh &&
# In a terminal the command gets a process group of its own: Ctrl-C then reaches it and not make,
# which would end with an error although the command ended well. Should make be ended, so is the
# command. Elsewhere the shell becomes the command, and signals reach it anyhow.
GUARD := $(shell command -v setpriv >/dev/null && echo setpriv --pdeathsig SIGTERM --)
front = if [ -t 0 ] && [ -t 1 ]; then set -m; $(GUARD) $(1); exit $$?; else exec $(1); fi

help: ## list the commands
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' Makefile
	@echo '  options go into ARGS, for example: make run ARGS="--help"'

setup: ## set up .venv, ROS and the workspace (run, test, ... do it by themselves)
	@tools/setup.sh --dev

build: ## build the workspace
	@tools/setup.sh

run: ## start the simulated arm, or ARGS="--robot NAME"; Ctrl-C stops
	@tools/setup.sh
	@$(ENV) $(call front,python -m vla_bringup.runner $(ARGS))

test: ## run all tests; ARGS="--packages-select vla_safety" runs fewer
	@tools/setup.sh --dev
	@rm -rf build/*/pytest.xml build/*/test_results
	@$(ENV) nice colcon --log-base build/log test --base-paths src --executor sequential \
	  --event-handlers console_cohesion- console_direct- console_start_end+ \
	  --python-testing pytest --pytest-args -p no:launch_testing $(ARGS) || true
	@$(ENV) colcon test-result --test-result-base build | tail -n 3
	@$(ENV) python tools/test_summary.py build

lint: ## ruff and mypy
	@tools/setup.sh --dev
	@$(ENV) ruff check . && ruff format --check . && mypy

format: ## put all Python files into the house format
	@tools/setup.sh --dev
	@$(ENV) ruff check --fix . ; ruff format .

train: ## train a policy in the simulator and export bundles/reach; resumes after Ctrl-C
	@tools/setup.sh --dev
	@$(ENV) $(call front,python -m vla_models.train_main $(ARGS))

eval: ## measure a bundle in the simulator: ARGS="--bundle bundles/reach --scenes 50"
	@tools/setup.sh
	@$(ENV) $(call front,python -m vla_bringup.evaluate $(ARGS))

bench: ## latency against a naive chain of nodes; first the cost of the gate by part
	@tools/setup.sh --dev
	@$(ENV) python bench/gate_cost.py --json bench/gate_cost.json
	@$(ENV) $(call front,python bench/run.py $(ARGS))

prove: ## 10^7 steps of the limiter against an independent oracle: ARGS="--steps 1e5"
	@tools/setup.sh --dev
	@$(ENV) $(call front,python -m vla_safety.prove $(ARGS))

fuzz: ## 10^6 mutated messages through the gate: ARGS="--messages 1e4"
	@tools/setup.sh --dev
	@$(ENV) $(call front,python src/vla_safety/test/gate_fuzz.py $(ARGS))

storm: ## 10^4 storms of faults in gate and publisher, on a clock of their own: ARGS="--storms 100"
	@tools/setup.sh --dev
	@$(ENV) $(call front,python test/storm.py $(ARGS))

mutants: ## does a test fail when a line of the gate is changed? ARGS="--only limiter.py --minutes 5"
	@tools/setup.sh --dev
	@$(ENV) $(call front,python tools/mutants.py $(ARGS))

endurance: ## no false stops in 30 minutes under CPU load: ARGS="--minutes 5 --load 1"
	@tools/setup.sh
	@$(ENV) $(call front,python bench/endurance.py $(ARGS))

reactions: ## reaction times by fault on the running graph: ARGS="--faults nan,gate_kill --count 20"
	@tools/setup.sh --dev
	@$(ENV) $(call front,python bench/reactions/run.py $(ARGS))

clean: ## remove what was built; keeps .venv, data and runs
	@rm -rf build install log .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find src test -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
