# The two commands of the README are `make run` and `make test`; both set up whatever is missing.
PY := .venv/bin/python
SOURCES := main.py models realtime ui tests scripts examples

.PHONY: help run test check format constraints clean

help: ## Show what there is
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

run: ## Set up what is missing and start the program
	@scripts/setup.sh run
	@$(PY) main.py

test: ## Set up what is missing and check everything, as .ci/run does
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory check

check: ## Style, types, import rules and tests, in an environment that is ready
	$(PY) -m ruff check $(SOURCES)
	$(PY) -m ruff format --check $(SOURCES)
	$(PY) -m mypy
	.venv/bin/lint-imports --no-cache
	$(PY) -m pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered
	@for part in realtime models; do \
	    $(PY) -m coverage report --include="$$part/*" --fail-under=90 > /dev/null || \
	    { echo "Tests reach less than 90 % of the lines of $$part/."; exit 1; }; done

format: ## Put the code into the project's format
	$(PY) -m ruff check --fix $(SOURCES)
	$(PY) -m ruff format $(SOURCES)

constraints: ## Pin the versions that .venv holds as constraints.txt
	$(PY) scripts/constraints.py > constraints.txt

clean: ## Remove the environment and every cache
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
