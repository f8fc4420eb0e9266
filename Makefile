# Cedargate in two commands: `make run` serves the demo, `make test` checks everything.
# Needs a Rust toolchain with rustfmt and clippy, a C compiler, perl and make. `make test` installs
# the rest by itself (Debian packages, a Python environment in .venv, npm packages, cargo-deny) from
# Debian, PyPI, npm and crates.io. What is missing fails the run; nothing is skipped.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
export PATH := $(CURDIR)/target/tools/bin:$(PATH)

CARGO_DENY := cargo-deny 0.20.2
PEERS := tests/peers
BENCH_PACKAGES := cvc5 nginx postgresql strace wrk
INSTALL_LOG := target/install.log
PYTHON := tests benches/throughput
heading = @printf '\n== %s ==\n'

.PHONY: build run test install debian-packages cargo-deny format lint docs deny advisories \
        compile cargo-test policy-test policy-prove policy-format test-programs peers peers-lint peers-lock openapi bench benches

# The debug binary, target/debug/cedargate.
build:
	@cargo build --locked

run:
	cargo run --release --locked -- serve --demo

# Installing mostly waits for the network, so it goes on beside the compiler.
# pytest comes last, so that the log ends with its summary.
test:
	$(heading) 'install and compile side by side (the install log is $(INSTALL_LOG))'
	@mkdir -p target
	@$(MAKE) --no-print-directory install >$(INSTALL_LOG) 2>&1 & install=$$!; \
	trap 'kill $$install 2>/dev/null || true' EXIT; \
	$(MAKE) --no-print-directory format lint docs compile; \
	if ! wait $$install; then cat $(INSTALL_LOG); exit 1; fi; \
	trap - EXIT
	@$(MAKE) --no-print-directory deny peers-lint cargo-test policy-format policy-test policy-prove peers

# What the tests need beyond the toolchain. A second run finds it all there.
install: debian-packages .venv/installed $(PEERS)/node_modules/.package-lock.json cargo-deny

debian-packages:
	$(heading) 'Debian packages'
	@$(PEERS)/debian-packages

.venv/installed: $(PEERS)/requirements.txt | debian-packages
	$(heading) 'Python environment'
	@rm -rf .venv && python3 -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check -r $(PEERS)/requirements.txt
	@touch $@

$(PEERS)/node_modules/.package-lock.json: $(PEERS)/package-lock.json | debian-packages
	$(heading) 'npm packages'
	@cd $(PEERS) && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

cargo-deny:
	$(heading) 'cargo-deny'
	@if [ "$$(cargo-deny --version 2>/dev/null)" != '$(CARGO_DENY)' ]; then \
		cargo install --quiet --locked --debug --root target/tools $(subst $() ,@,$(CARGO_DENY)); \
	fi; cargo-deny --version

format:
	$(heading) 'format'
	@cargo fmt --check

lint:
	$(heading) 'lints'
	@cargo clippy --quiet --locked --all-targets -- -D warnings

docs:
	$(heading) 'documentation'
	@RUSTDOCFLAGS=-Dwarnings cargo doc --quiet --locked --no-deps

# The advisory database lives on GitHub, which a build machine need not reach: see `advisories`.
deny:
	$(heading) 'licences, bans and sources of the dependencies'
	@cargo deny --locked check bans licenses sources

# Known vulnerabilities and withdrawn crates. Needs GitHub; run it daily and before a release.
advisories: cargo-deny
	$(heading) 'advisories'
	@cargo deny --locked check advisories

compile:
	$(heading) 'compile'
	@cargo build --quiet --locked
	@cargo test --quiet --locked --no-run

cargo-test:
	$(heading) 'cargo test'
	@cargo test --quiet --locked

# The cases beside the shipped policies.
policy-test: build
	$(heading) 'policy cases'
	@target/debug/cedargate policy test policies

# Speed beside reference handlers, nginx and other databases, on a quiet machine; nothing is asserted.
# BENCH has options, such as BENCH='--quick --only mint'; see docs/performance.md.
bench:
	$(heading) 'Debian packages'
	@$(PEERS)/debian-packages $(BENCH_PACKAGES)
	$(heading) 'speed'
	@python3 benches/throughput/run.py $(BENCH)

# Every bench in Rust: decisions, comparisons, floods and attacks. Nothing is asserted.
benches:
	$(heading) 'benches'
	@cargo bench --locked --benches

# The invariants of the shipped policies, for all possible requests. Needs cvc5.
policy-prove: build
	$(heading) 'policy proofs'
	@target/debug/cedargate policy prove policies

# The layout of the shipped policies and of the examples.
policy-format: build
	$(heading) 'policy layout'
	@target/debug/cedargate policy format --check policies
	@target/debug/cedargate policy format --check docs/examples

# What the tests run beside the server: the published verifier in Rust, an S3 server, and what `make bench` compares with.
test-programs:
	@cargo build --quiet --locked --example verifier_loop --example s3_server --example reference_handlers

# Independent programs against the running server, and verifiers; see tests/peers/README.md and
# tests/verifiers/README.md.
peers: install build test-programs
	$(heading) 'peers and verifiers'
	@cd tests && ../.venv/bin/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

peers-lint: install
	$(heading) 'format and lints of the tests in Python'
	@.venv/bin/ruff check --quiet $(PYTHON) && .venv/bin/ruff format --check --quiet $(PYTHON)

# After a change of requirements.in or package.json: take the newest stable releases and pin them.
peers-lock:
	@rm -rf .venv && python3 -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --upgrade -r $(PEERS)/requirements.in
	@{ echo '# Written by `make peers-lock` from requirements.in.'; .venv/bin/pip freeze; } >$(PEERS)/requirements.txt
	@touch .venv/installed
	@cd $(PEERS) && npm install --package-lock-only --no-audit --no-fund

# The committed OpenAPI document, as the server describes itself.
openapi: build
	@mkdir -p openapi && target/debug/cedargate openapi >target/openapi.json
	@mv target/openapi.json openapi/openapi.json
