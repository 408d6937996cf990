# SPDX-License-Identifier: GPL-3.0-or-later
# The front door: what a person types. The real build is CMakeLists.txt.

PREFIX ?= /usr/local
DATA ?= ./data
LISTEN ?= 127.0.0.1:8080
JOBS ?= $(shell nproc)
export JOBS
export CCACHE_BASEDIR := $(CURDIR)# so that what one clone has compiled another need not
export CCACHE_NOHASHDIR := true

BUILD_PACKAGES = build-essential cmake ninja-build pkg-config ccache libsqlite3-dev libgit2-dev libjansson-dev libssl-dev \
	libyaml-dev libseccomp-dev zlib1g-dev liblz4-dev librust-blake3-dev libcurl4-openssl-dev libsodium-dev git
CLIENTS = .venv/ready .venv/older/ready .venv/oldest/ready .venv/signing/ready .venv/bom/ready .venv/oidc/ready .venv/federated/ready .venv/flower18/ready
LAUNCHER = $(if $(shell command -v ccache),-DCMAKE_C_COMPILER_LAUNCHER=ccache)

.DEFAULT_GOAL := all
.NOTPARALLEL:
.PHONY: all deps run test test-deps test-packages soak bench evidence fuzz install clean format help

all: ## build the program and its library: build/cairn, build/libcairn.so
	@cmake --preset release $(LAUNCHER) --log-level=WARNING
	@ninja -C build/release -j $(JOBS) cairn cairn_library
	@ln -sfn release/cairn build/cairn
	@ln -sfn release/libcairn.so build/libcairn.so

deps: ## install the Debian packages that building needs, when some are missing
	@scripts/apt-install $(BUILD_PACKAGES)

run: deps all ## build, and start a hub on http://127.0.0.1:8080 with its data in ./data
	@LISTEN=$(LISTEN) scripts/first-start $(DATA)
	@exec ./build/cairn serve --data $(DATA) --listen $(LISTEN)

test-deps: deps test-packages $(CLIENTS) tests/js/node_modules/.package-lock.json ## install what the tests need

test-packages:
	@scripts/apt-install $$(scripts/test-packages)
	@.venv/bin/python -c '' 2>/dev/null || rm -f .venv/ready # the Python that it was made from may have gone

.venv/ready: tests/requirements.txt
	@rm -rf .venv && python3 -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --retries 5 --no-deps -r tests/requirements.txt
	@touch $@

.venv/%/ready: tests/requirements-%.txt .venv/ready # clients of other ages and the signing tool, used through PYTHONPATH
	@.venv/bin/pip install --quiet --disable-pip-version-check --retries 5 --no-deps --upgrade --target .venv/$* -r $<
	@touch $@

tests/js/node_modules/.package-lock.json: tests/js/package-lock.json
	@cd tests/js && npm ci --no-audit --no-fund --silent
	@touch $@

test: ## install what is missing, build, run every test; the last line counts them
	@$(MAKE) --no-print-directory test-deps || \
		{ echo "What the tests need could not be installed"; echo "0 passed, 1 failed"; exit 1; }
	@python3 scripts/run-tests

soak: all test-deps ## the long tests: 200 rounds of kill -9, a file over 5 GiB, others' monitors of the log, others' rules and accountants, PyTorch
	@scripts/apt-install python3-torch dataset-fashion-mnist
	@ninja -C build/release -j $(JOBS) bench tool_report
	@CAIRN_SOAK=1 CAIRN_BINARY=$(CURDIR)/build/cairn .venv/bin/python -m pytest -p no:cacheprovider -v \
		tests/e2e/test_crash.py tests/e2e/test_big.py tests/e2e/test_outside.py tests/e2e/test_log_drills.py \
		tests/e2e/test_robust.py tests/e2e/test_federate.py tests/e2e/test_houses_crash.py tests/e2e/test_examples.py

bench: all test-deps ## measure against nginx and the plain pipeline; prints a table of ratios
	@scripts/apt-install nginx-light wrk
	@ninja -C build/release -j $(JOBS) bench
	@.venv/bin/python bench/run.py
	@.venv/bin/python bench/tier.py
	@.venv/bin/python bench/robust.py
	@.venv/bin/python bench/flower.py
	@HF_HUB_DISABLE_XET=1 .venv/bin/python bench/houses.py

evidence: all test-deps .venv/plots/ready ## train Fashion-MNIST in each mode, attacked and not, and draw docs/fashion.svg
	@scripts/apt-install dataset-fashion-mnist
	@.venv/bin/python bench/fashion.py
	@.venv/bin/python bench/fashion_plot.py docs/fashion.jsonl docs/fashion.svg

fuzz: deps ## run every fuzz target for a minute (FUZZ_SECONDS)
	@scripts/apt-install clang libclang-rt-14-dev
	@scripts/fuzz

install: all ## install to PREFIX (/usr/local): the program, libcairn and its headers
	install -D -m 755 build/cairn $(DESTDIR)$(PREFIX)/bin/cairn
	install -D -m 644 include/cairn/verify.h $(DESTDIR)$(PREFIX)/include/cairn/verify.h
	install -D -m 644 include/cairn/federate.h $(DESTDIR)$(PREFIX)/include/cairn/federate.h
	install -D -m 644 build/release/libcairn.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig/libcairn.pc
	cp -P build/release/libcairn.so build/release/libcairn.so.* $(DESTDIR)$(PREFIX)/lib/
	@test -n "$(DESTDIR)" || ldconfig || true # so that it is found where it was just put

clean: ## remove what was built
	rm -rf build tests/out

format: ## format the C sources
	@scripts/apt-install clang-format
	@find src include tests bench -name '*.[ch]' -not -path '*/node_modules/*' -print0 | xargs -0 clang-format -i

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
