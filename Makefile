# The commands of README.md. Each installs what it needs first; nothing else has to be set up.

# rustup puts cargo here, and a fresh shell may not know it yet; it goes before an older one.
export PATH := $(HOME)/.cargo/bin:$(PATH)

BINARY := target/release/sidewinder

.PHONY: help setup build demo test test-vm test-frr fuzz bench bench-gate figures lint conformance

help:
	@echo 'make setup   install what is missing to build, test and try Sidewinder (apt, cargo)'
	@echo 'make build   build $(BINARY)'
	@echo 'make demo    three routers and two hosts on this machine, with traffic; needs root'
	@echo 'make test    format, lints and all tests; those that need root are skipped without it'
	@echo 'make test-vm   the tests on an emulated NIC with zero-copy only; fetches a kernel for the guest'
	@echo 'make fuzz    what senders of packets and a BGP-LS peer could send; SECONDS=60 for each of TARGETS'
	@echo 'make test-frr   the tests with FRR in namespaces only; fetches FRR into a directory of its own'
	@echo 'make bench   packets per second of the data plane, without interfaces'
	@echo 'make bench-gate   instructions per packet against benches/instructions.tsv; UPDATE=1 writes it'
	@echo 'make figures   measure anew what README.md says of the speed; takes some minutes'
	@echo 'make lint    format and lints only'
	@echo 'make conformance   write docs/conformance.md anew, from the tests'

setup:
	@scripts/setup

build: setup
	cargo build --locked --release -p sidewinder

demo: build
	@scripts/with-root $(BINARY) demo $(ARGS)

test: setup
	@scripts/test

test-vm: setup
	@scripts/test vm

fuzz: setup
	@scripts/fuzz $(or $(SECONDS),60) $(TARGETS) $(if $(ARGS),-- $(ARGS))

test-frr: setup
	@scripts/test frr

bench: build
	$(BINARY) bench core $(ARGS)

bench-gate: build
	@UPDATE=$(UPDATE) scripts/bench-gate $(ARGS)

figures: build
	@scripts/figures $(ARGS)

lint: setup
	cargo fmt --all --check
	cargo clippy --locked --keep-going --workspace --all-targets -- -D warnings

conformance: setup
	UPDATE=1 cargo test --locked -p sidewinder --test conformance
