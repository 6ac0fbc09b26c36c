# Two commands: `make run` starts the dashboard, `make test` tests the checkout.
# Both make the environment they need, and do nothing twice.

VENV ?= .venv
PORT ?= 8501
PY := $(VENV)/bin/python
TESTS ?= tests

.DEFAULT_GOAL := help
.PHONY: help run test lint bench screenshots clean

help:
	@echo "make run          environment if needed, then the dashboard on http://127.0.0.1:$(PORT)"
	@echo "make test         environment if needed, then linters and every test"
	@echo "make lint         ruff and mypy alone"
	@echo "make bench        every benchmark, as ratios against a peer"
	@echo "make screenshots  the README's pictures, taken from the running dashboard"
	@echo "make clean        remove the environment and caches of this checkout"

run:
	@VENV="$(VENV)" sh scripts/environment.sh requirements.txt
	@exec $(PY) -m ood_core dashboard --port "$(PORT)"

test:
	@VENV="$(VENV)" sh scripts/environment.sh requirements-dev.txt
	@$(MAKE) --no-print-directory lint
	@if [ "$(TESTS)" = tests ]; then \
		$(PY) -m pytest -n 2 --dist loadfile tests --ignore=tests/browser && \
		$(PY) -m pytest tests/browser; \
	else $(PY) -m pytest $(TESTS); fi

lint:
	@VENV="$(VENV)" sh scripts/environment.sh requirements-dev.txt
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

bench:
	@VENV="$(VENV)" sh scripts/environment.sh requirements-dev.txt
	@for f in benchmarks/detectors.py benchmarks/extraction.py benchmarks/dashboard.py; do \
		echo "== $$f"; $(PY) $$f || exit 1; done

screenshots:
	@VENV="$(VENV)" sh scripts/environment.sh requirements-dev.txt
	@$(PY) scripts/screenshots.py docs/images

clean:
	rm -rf "$(VENV)" .pytest_cache .mypy_cache .ruff_cache artifacts
