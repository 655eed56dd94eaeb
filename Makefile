# These do all the set-up: `make serve` (the example, on this machine), `make test` (the tests of every commit) and
# `make test-all` (all of them).
PYTHON ?= python3
VENV := .venv
HTTP_PORT ?= 0
TFTP_PORT ?= 0

.PHONY: serve test test-all clean

serve: $(VENV)/.installed
	@HTTP_PORT=$(HTTP_PORT) TFTP_PORT=$(TFTP_PORT) sh vagrant/serve.sh

test: $(VENV)/.tests-installed
	$(VENV)/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 12 -m 'not slow' $(TESTS)

test-all: $(VENV)/.tests-installed
	$(VENV)/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 12 $(TESTS)

# A Debian without python3-venv is helped when we are root; anybody else is told.
$(VENV)/bin/python:
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv && \
	    $(PYTHON) -m venv $(VENV); } || \
	    { echo "Bootforge needs Python 3.11 or newer with venv: 'sudo apt install python3-venv'" >&2; exit 1; }

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/pip install -q --disable-pip-version-check -e .
	@touch $@

$(VENV)/.tests-installed: pyproject.toml | $(VENV)/bin/python
	$(VENV)/bin/pip install -q --disable-pip-version-check -e '.[test]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) .cache dist
