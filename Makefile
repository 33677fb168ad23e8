# Two commands matter: `make demo` and `make test`. Both do all set-up themselves.
.DEFAULT_GOAL := help
PY := .venv/bin/python

.PHONY: help setup setup-test demo check test unit interop chaos bench clean

help:  ## Show this help
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

setup:  ## Make .venv with the SDK, the server and the tools, and build the calling page
	@scripts/setup.sh python page

setup-test:  ## As `setup`, and what the tests need: browsers, the npm package connectycube, coturn, a desktop
	@scripts/setup.sh python page browser network desktop

demo: setup  ## Start a server and an answering bot, call it with a clip, record what came back
	@$(PY) samples/demo/demo.py

check: setup  ## Lint and type-check
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

test: setup-test check  ## Lint, type-check and run every test, also those in a real browser
	@$(PY) -m pytest

unit: setup  ## Run the tests that need neither a browser nor root's network laboratory
	@scripts/setup.sh desktop
	@$(PY) -m pytest -m "not browser and not network"

interop: setup-test  ## Run the tests against the unmodified browser SDK
	@$(PY) -m pytest tests/interop

chaos: setup  ## Live 100,000 random lives of calls in simulated time
	@$(PY) -m benchmarks.chaos 100000

bench: setup-test  ## Run every benchmark and print its table (ejabberd must be installed)
	@for name in signalling tcp push call_setup page media_cpu media_chain recording screen ringing network; do $(PY) -m benchmarks.$$name; done

clean:  ## Remove everything that set-up and the demo made
	rm -rf .venv node_modules tests/interop/node_modules web/node_modules src/ringmesh/server/page demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
