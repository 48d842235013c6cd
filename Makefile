# make demo   train networks by every method on drawn pictures, print a table, and make a report of all runs
# make test   lint and tests
# make test-golden   the numbers of the reference implementations, in the folder LAD_GOLDEN
PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo test test-golden test-slow lint browser

.venv/run: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

.venv/test: .venv/run pyproject.toml
	$(BIN)/python -m pip install --quiet -e '.[test,torch,browser]'
	touch $@

demo: .venv/run
	$(BIN)/python -m scripts.demo --output=runs/demo

test: lint browser
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-golden: .venv/test
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/golden

test-slow: .venv/test
	$(BIN)/python -m pytest -m slow

# The page of a report is tested in Chromium: CI's machine gets it; on any other, tests are skipped without it.
browser:
	test "$(CI)" != true || command -v chromium || (apt-get update -qq && apt-get install -qq -y chromium)

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
