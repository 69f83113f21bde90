# make run      a demo: IMAP on 127.0.0.1:1143, POP3 on 127.0.0.1:1110, account demo/demo
# make test     the whole suite
# make reliability   what may happen to an mbox, 200 000 times: the table in README.md
# make bench    compares with Dovecot (root; SIZE=S quick, ROUNDS=3, ONLY=sessions,selects, JSON=file)
# make lint     what CI checks before the tests
# make cert     key and certificate for TLS; CERT='--batch --common-name mail.example.org' and the like
# make install  PREFIX=/usr/local DESTDIR=   the servers for inetd, xinetd or systemd, and `mailcore`
# make uninstall  takes all of that away again (not the certificate, nor anybody's secrets)
# make lock     newer third parties for `make install`, into requirements.txt
# make clean    removes the virtual environment, the demo and all that tools left behind

PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
VENV ?= .venv
PREFIX ?= /usr/local
DESTDIR ?=
LIBEXEC = $(PREFIX)/libexec
COMMANDS = $(PREFIX)/bin
MAN = $(PREFIX)/share/man
LIBRARY = $(PREFIX)/lib/mailcore
DOC = $(PREFIX)/share/doc/mailcore
STATE = /var/lib/mailcore

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
PACKAGES = mailcore imapd ipop3d
SERVERS = imapd ipop3d poppassd
PAGES = mailcore.1 mailcore.conf.5 imapd.8 ipop3d.8 poppassd.8
# where not root may write nothing that the servers read, the certificate goes into certs/
CERT =
CERT_PLACE = $(if $(filter 0,$(shell id -u)),,--directory certs)
SAMPLES = inetd.conf.sample xinetd.d/* pam.d/* systemd/*

define REQUIREMENTS
import configparser
setup = configparser.ConfigParser()
setup.read("setup.cfg")
print(*setup["options"]["install_requires"].split(), sep="\n")
endef
export REQUIREMENTS

.PHONY: run test reliability bench lint cert install bundle vendor lock uninstall clean venv

run: $(VENV)/installed
	@exec $(BIN)/python -m mailcore.tools demo

test: $(VENV)/tested
	$(BIN)/python -m pytest

SIZE = L
ROUNDS = 3
bench: $(VENV)/tested
	@$(BIN)/python -m benchmarks --size '$(SIZE)' --rounds '$(ROUNDS)' --only '$(ONLY)' --json '$(JSON)'

cert: $(VENV)/installed
	@$(BIN)/python -m mailcore.tools cert $(CERT_PLACE) $(CERT)

reliability: $(VENV)/tested
	$(BIN)/python -m benchmarks.reliability

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
	$(MAKE) --no-print-directory bundle
	install -d "$(DESTDIR)$(LIBEXEC)" "$(DESTDIR)$(COMMANDS)" "$(DESTDIR)$(STATE)"
	$(call launcher,imapd.__main__,$(LIBEXEC)/imapd)
	$(call launcher,ipop3d.__main__,$(LIBEXEC)/ipop3d)
	$(call launcher,mailcore.poppassd.__main__,$(LIBEXEC)/poppassd)
	$(call launcher,mailcore.store.mlock,$(LIBEXEC)/mlock)
	$(call launcher,mailcore.tools.__main__,$(COMMANDS)/mailcore)
	@for page in $(PAGES); do \
	    folder="$(DESTDIR)$(MAN)/man$${page##*.}"; install -d "$$folder"; \
	    case $$page in \
	        *.conf.5) $(BIN)/python man/settings.py < man/$$page > "$$folder/$$page";; \
	        *) sed 's,/usr/local/libexec,$(LIBEXEC),g' man/$$page > "$$folder/$$page";; \
	    esac || exit 1; \
	done
	@for file in $(SAMPLES); do \
	    install -d "$(DESTDIR)$(DOC)/$$(dirname $$file)"; \
	    sed 's,/usr/local/libexec,$(LIBEXEC),g' $$file > "$(DESTDIR)$(DOC)/$$file"; \
	done

# All modules of the servers in one file (mailcore/bundle.py), without docstrings and columns for tracebacks.
bundle: INSTALLED = $(addprefix "$(DESTDIR)$(LIBRARY)"/,$(PACKAGES))
bundle: $(VENV)/installed
	$(BIN)/python -X no_debug_ranges -m compileall -q -f -o 2 -s "$(DESTDIR)" $(INSTALLED)
	$(BIN)/python -m mailcore.bundle "$(DESTDIR)$(LIBRARY)" $(PACKAGES)
	find $(INSTALLED) -name '*.opt-2.pyc' -delete

# a file that starts the main() of a module: $(call launcher,MODULE,FILE)
define launcher
	@printf '%s\n' '#!$(shell command -v $(PYTHON)) -IS' \
	    'import sys' \
	    '' \
	    'sys.warnoptions.append("ignore")' \
	    'sys.path.insert(0, "$(LIBRARY)")' \
	    'sys.path.append("$(LIBRARY)/vendor")' \
	    'from mailcore import bundle' \
	    '' \
	    'bundle.use("$(LIBRARY)")' \
	    'from $(1) import main' \
	    '' \
	    'sys.exit(main())' > "$(DESTDIR)$(2)"
	@chmod 755 "$(DESTDIR)$(2)"
endef

vendor: $(VENV)/installed
	rm -rf "$(DESTDIR)$(LIBRARY)/vendor"
	$(PIP) install --no-compile --no-deps --require-hashes --target "$(DESTDIR)$(LIBRARY)/vendor" \
	    --requirement requirements.txt
	rm -rf "$(DESTDIR)$(LIBRARY)/vendor/bin"

# Newer versions of the third parties: look at what changed, run the tests, commit requirements.txt.
lock: $(VENV)/installed
	$(PIP) install pip-tools
	@$(BIN)/python -c "$$REQUIREMENTS" | $(BIN)/pip-compile --quiet --upgrade --generate-hashes --no-header \
	    --no-annotate --no-emit-index-url --no-emit-find-links --no-emit-options --strip-extras \
	    --output-file $(VENV)/locked - && \
	{ sed -n '/^#/p;/^[^#]/q' requirements.txt; sed '/^#/d' $(VENV)/locked; } > $(VENV)/requirements && \
	mv $(VENV)/requirements requirements.txt

uninstall:
	@for server in $(SERVERS) mlock; do rm -f "$(DESTDIR)$(LIBEXEC)/$$server"; done
	rm -f "$(DESTDIR)$(COMMANDS)/mailcore"
	@for page in $(PAGES); do rm -f "$(DESTDIR)$(MAN)/man$${page##*.}/$$page"; done
	rm -rf "$(DESTDIR)$(LIBRARY)" "$(DESTDIR)$(DOC)"

clean:
	rm -rf $(VENV) demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
