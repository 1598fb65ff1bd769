# `make help` lists the targets. Go, make and bash are all that is needed, and for
# `make test` a JDK 17 or later and Maven, which fetches a Redis: the tools are Go
# programs, pinned in tools.mod and built on their first use.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules --no-print-directory
export NO_COLOR := 1

TOOL := go tool -modfile=tools.mod
GEN := adapters/connectapi/gen
# What `git describe` says; "devel" outside of a git tree.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
TESTFLAGS ?=
FUZZTIME ?= 20s
BENCHFLAGS ?= $(KEEPBENCH)
KEEPBENCH := -out results/latest.json -readme ../README.md

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-16s %s\n", $$1, $$2 }'

.PHONY: build
build: ## Build bin/lectern
	go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/lectern ./cmd/lectern

.PHONY: demo
demo: build ## Make a course from the sample documents; nothing needs to run beforehand
	bin/lectern generate --title "Курс по продажам в сфере образования" \
		--style academic --language ru --lessons 25 docs/samples/*.docx docs/samples/*.pdf

.PHONY: examples
examples: ## Write docs/examples anew from the sample documents
	go test -count=1 -run '^TestExamplesAreWhatTheGeneratorWrites$$' ./cmd/lectern -update

.PHONY: run
run: build ## Serve on 127.0.0.1:8080
	bin/lectern serve

# -count=1: Go's cache does not see that the e2e tests run a binary of other packages.
.PHONY: test
test: ## Run every test with the race detector; TESTFLAGS='-run X -v' narrows it
	go run ./e2e/stack/cmd/with-stack -- $(MAKE) test-race $(if $(filter -run%,$(TESTFLAGS)),,test-reconnect)
	cd bench && go test -race -count=1 $(TESTFLAGS) ./...

# The two parts of `make test` for which servers are started once.
.PHONY: test-race
test-race:
	go test -race -count=1 -timeout 15m $(TESTFLAGS) ./...

# Watermill's TestReconnect: in files with the build tag !race, since it has a data
# race of its own.
.PHONY: test-reconnect
test-reconnect:
	@packages=$$(grep -l '^func TestWatermillReconnect(' adapters/*/*_test.go | xargs -n1 dirname | sed 's|^|./|') || \
		{ echo 'no TestWatermillReconnect found' >&2; exit 1; }; \
	set -x; go test -count=1 -timeout 15m $(TESTFLAGS) -run '^TestWatermillReconnect$$' $$packages

# What needs more than Go, a JDK and Maven: files with the build tag ops, whose
# tests are called TestOps...
.PHONY: test-ops
test-ops: ## Run what needs servers of the distribution: postgresql-15-cron, pgbouncer
	go test -race -count=1 -timeout 15m -tags ops -run '^TestOps' $(TESTFLAGS) ./e2e

# The tests of guarantees that need minutes, side by side: files with the build
# tag soak, whose tests are called TestSoak... Each has a short form in `make test`.
.PHONY: soak
soak: ## Run what takes minutes: outages and transactions of a minute and more, 5 million rows
	go run ./e2e/stack/cmd/with-stack -- go test -count=1 -timeout 20m -tags soak -run '^TestSoak' $(TESTFLAGS) ./adapters/postgres ./e2e

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (20s)
	@{ grep -rl --include='*_test.go' '^func Fuzz' . || { echo 'no fuzz target found' >&2; exit 1; }; } | while read -r file; do \
		sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file" | while read -r target; do \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" </dev/null; \
		done; \
	done

.PHONY: lint
lint: check-generate ## Check style, layout, schemas, go.mod and the generated code
	go vet -tags ops,soak ./...
	go mod tidy -diff
	$(TOOL) buf lint
	$(TOOL) golangci-lint run --color=never
	cd bench && go vet ./... && go mod tidy -diff && go tool -modfile=../tools.mod golangci-lint run --color=never

# bench is a module of its own, whose peers are no dependencies of ours.
.PHONY: bench
bench: ## Measure Lectern against peers; takes minutes; BENCHFLAGS='-run replay -fsync=off' narrows it
	go run ./e2e/stack/cmd/with-stack -- go -C bench run . $(or $(BENCHFLAGS),$(KEEPBENCH))

.PHONY: bench-full
bench-full: ## Measure also what takes minutes each: tens of drains, a held snapshot, 5 million rows
	$(MAKE) bench BENCHFLAGS='-long $(KEEPBENCH)'

.PHONY: tidy
tidy: ## Tidy go.mod of both modules: that of bench follows ours
	go mod tidy
	cd bench && go mod tidy

.PHONY: fmt
fmt: ## Format Go code and schemas in place
	$(TOOL) golangci-lint fmt
	cd bench && go tool -modfile=../tools.mod golangci-lint fmt
	$(TOOL) buf format --write adapters/connectapi/proto

.PHONY: generate
generate: ## Generate Go code from the schemas
	$(TOOL) buf generate

.PHONY: check-generate
check-generate: ## Fail when the generated code is not what the schemas give
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(TOOL) buf generate --output "$$fresh"; \
	diff -r "$$fresh/$(GEN)" $(GEN) || { echo 'generated code is stale: run `make generate` and commit it' >&2; exit 1; }

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin
