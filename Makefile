# make run      a demo: IMAP on 127.0.0.1:1143, POP3 on 127.0.0.1:1110, account demo/demo
# make test     the whole suite
# make lint     what CI checks before the tests
# make install  PREFIX=/usr/local DESTDIR=   the servers for inetd, xinetd or systemd
# make clean    removes the virtual environment, the demo and all that tools left behind

PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
VENV ?= .venv
PREFIX ?= /usr/local
DESTDIR ?=
LIBEXEC = $(PREFIX)/libexec
LIBRARY = $(PREFIX)/lib/mailcore
DOC = $(PREFIX)/share/doc/mailcore

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
PACKAGES = mailcore imapd ipop3d
SERVERS = imapd ipop3d
SAMPLES = inetd.conf.sample xinetd.d/* pam.d/* systemd/*

define REQUIREMENTS
import configparser
setup = configparser.ConfigParser()
setup.read("setup.cfg")
print(*setup["options"]["install_requires"].split())
endef
export REQUIREMENTS

.PHONY: run test lint install vendor uninstall clean venv

run: $(VENV)/installed
	@exec $(BIN)/python -m mailcore.tools demo

test: $(VENV)/tested
	$(BIN)/python -m pytest

lint: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/mypy

venv: $(VENV)/tested

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(PIP) install --editable .
	@touch $@

$(VENV)/tested: $(VENV)/installed
	$(PIP) install --editable '.[test,lint]'
	@touch $@

# The servers start as the system's Python, isolated, without its site directories: all that they
# may import lies in LIBRARY, third parties under LIBRARY/vendor, everything compiled.
install: vendor
	@for package in $(PACKAGES); do \
	    rm -rf "$(DESTDIR)$(LIBRARY)/$$package"; \
	    find $$package -name __pycache__ -prune -o -type f -print | while read -r file; do \
	        install -D -m 644 "$$file" "$(DESTDIR)$(LIBRARY)/$$file" || exit 1; \
	    done || exit 1; \
	done
	$(BIN)/python -m compileall -q -f -s "$(DESTDIR)" "$(DESTDIR)$(LIBRARY)"
	install -d "$(DESTDIR)$(LIBEXEC)"
	@for server in $(SERVERS); do \
	    printf '%s\n' '#!$(shell command -v $(PYTHON)) -IS' \
	        'import sys' \
	        '' \
	        'sys.warnoptions.append("ignore")' \
	        'sys.path.insert(0, "$(LIBRARY)")' \
	        'sys.path.append("$(LIBRARY)/vendor")' \
	        "from $$server.__main__ import main" \
	        '' \
	        'sys.exit(main())' > "$(DESTDIR)$(LIBEXEC)/$$server" && \
	    chmod 755 "$(DESTDIR)$(LIBEXEC)/$$server" || exit 1; \
	done
	@for file in $(SAMPLES); do \
	    install -d "$(DESTDIR)$(DOC)/$$(dirname $$file)"; \
	    sed 's,/usr/local/libexec,$(LIBEXEC),g' $$file > "$(DESTDIR)$(DOC)/$$file"; \
	done

vendor: $(VENV)/installed
	rm -rf "$(DESTDIR)$(LIBRARY)/vendor"
	$(PIP) install --no-compile --target "$(DESTDIR)$(LIBRARY)/vendor" \
	    $$($(BIN)/python -c "$$REQUIREMENTS")
	rm -rf "$(DESTDIR)$(LIBRARY)/vendor/bin"

uninstall:
	@for server in $(SERVERS); do rm -f "$(DESTDIR)$(LIBEXEC)/$$server"; done
	rm -rf "$(DESTDIR)$(LIBRARY)" "$(DESTDIR)$(DOC)"

clean:
	rm -rf $(VENV) demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
