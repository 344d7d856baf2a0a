# make build   the program, as ./gatehouse
# make test    everything: installs what is missing (Debian), lints, tests,
#              tests again with the race detector, and drives a real browser
# make lint    formatting, go vet, staticcheck, regal, known vulnerabilities
# make e2e     only the tests from outside
# make crash   kills the program 50 times on each store, at random moments, while
#              people sign up, reset passwords and refresh, and holds it to what
#              it had confirmed (make e2e: 15 times each); GATEHOUSE_CRASH_KILLS
#              and GATEHOUSE_CRASH_SEED say how often and when
# make bench   load against a bare reverse proxy, paired, and the cost of a
#              decision beside OPA's own server; prints ratios, and the goals
#              that are not met, in some 25 minutes
# make bench-load    the load alone; BENCH=-quick shows in six minutes that it
#              works, BENCH="-only small,cold" is a part, BENCH=-list names them
# make bench-micro   Go benchmarks of what a request passes through
# make profile       cpu.prof of a gateway under load, and where the time went;
#              TARGET=bearer, session, public, bearer-assertion,
#              session-assertion; h1- before it for the transport h1, -64k
#              behind it for a larger body
# make fmt     format all sources
#
# Without make and without Debian: go test ./... needs Go alone.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.NOTPARALLEL:

# A checkout without git, or of another owner, must build as well.
export GOFLAGS := -buildvcs=false $(GOFLAGS)

# One kind of build for all, so that nothing is compiled twice; and the kind
# that ships. Only the race detector needs cgo.
export CGO_ENABLED := 0

# Packages where goroutines share state. Those that work in SQLite are left
# out: the race detector slows the pure-Go engine twenty-fold. The reload is
# worth it.
RACE ?= ./internal/... ./session/... ./policy/... ./proxy/... ./cmd/gatehouse/app

# nginx lives where only root looks.
export PATH := $(PATH):/usr/sbin

SOURCES := find . -name '*.go' -not -path './e2e/node_modules/*'
TOOL    := go tool -modfile=$(CURDIR)/tools/go.mod
RESULTS := $(CURDIR)/.build/tests
TESTSUM := $(CURDIR)/.build/testsum
REGAL   := $(CURDIR)/.build/regal
OPA     := $(CURDIR)/.build/opa

.PHONY: build test lint bench crash e2e fmt unit race tools-test deps deps-e2e
.PHONY: lint-format lint-vet lint-staticcheck lint-rego lint-vulnerable bench-decide bench-load bench-micro profile

build:
	go build -trimpath -o gatehouse ./cmd/gatehouse

test: deps deps-e2e lint unit tools-test race e2e

lint: lint-format lint-vet lint-staticcheck lint-rego lint-vulnerable

lint-format:
	files=$$($(SOURCES) | xargs $(TOOL) gofumpt -l)
	if [ -n "$$files" ]; then
	  echo "not formatted (run: make fmt):"
	  echo "$$files"
	  exit 1
	fi

lint-vet:
	go vet ./...
	go vet -tags profile ./cmd/gatehouse
	go -C tools vet ./...
	go -C e2e vet ./...

lint-staticcheck:
	$(TOOL) staticcheck ./...
	(cd tools; $(TOOL) staticcheck ./...)
	(cd e2e; $(TOOL) staticcheck ./...)

# What gatehouse generates is Rego that a person could have written.
lint-rego: $(REGAL)
	$(REGAL) lint --config-file tools/regal/config.yaml policy/testdata

lint-vulnerable:
	.ci/vulnerable

fmt:
	$(SOURCES) | xargs $(TOOL) gofumpt -w

# All packages share one private PostgreSQL; a missing one is a failure.
POSTGRES := go run ./idp/store/storetest/withpostgres

unit: $(TESTSUM)
	$(POSTGRES) go test -json ./... | $(TESTSUM) -name unit -save $(RESULTS)/unit.json

# -race needs cgo, and so a C compiler.
race: $(TESTSUM)
	$(POSTGRES) env CGO_ENABLED=1 go test -race -json $(RACE) | $(TESTSUM) -name race -save $(RESULTS)/race.json

tools-test: $(TESTSUM)
	go -C tools test -json ./... | $(TESTSUM) -name tools -save $(RESULTS)/tools.json

# With GATEHOUSE_E2E=1 a program that is missing is a failure, not a skip.
e2e: deps-e2e $(TESTSUM) e2e/node_modules/.package-lock.json
	cd e2e
	GATEHOUSE_E2E=1 go test -count=1 -timeout=15m -json ./... | $(TESTSUM) -name e2e -save $(RESULTS)/e2e.json

crash:
	.ci/deps ca-certificates postgresql
	cd e2e
	GATEHOUSE_E2E=1 GATEHOUSE_CRASH_KILLS=$${GATEHOUSE_CRASH_KILLS:-50} \
	  go test -count=1 -timeout=20m -v -run TestNothingConfirmedIsLostAndNothingWorksTwice .

e2e/node_modules/.package-lock.json: e2e/package.json e2e/package-lock.json | deps-e2e
	cd e2e && npm ci --ignore-scripts --no-audit --no-fund

# Flags of the load, see bench/doc.go.
BENCH ?=

bench: bench-decide bench-load

bench-load:
	.ci/deps wrk nginx postgresql
	go run ./bench $(BENCH)

bench-decide: $(OPA)
	go run ./bench/decide -opa $(OPA)

bench-micro:
	go test -run '^$$' -bench . -benchmem -count 5 -benchtime 100ms ./proxy/... ./session/... ./policy

# What is built for it has the tag profile: what ships cannot write one.
TARGET  ?= bearer
PROFILE ?= cpu.prof

profile:
	.ci/deps wrk nginx
	go run ./bench -profile $(PROFILE) -target $(TARGET)

deps:
	.ci/deps ca-certificates cc postgresql

deps-e2e:
	.ci/deps ca-certificates chromium npm postgresql

$(TESTSUM): tools/go.mod $(wildcard tools/testsum/*.go)
	mkdir -p $(RESULTS)
	go -C tools build -o $@ ./testsum

# Each has a module of its own: what they need does not agree.
$(REGAL): tools/regal/go.mod
	go -C tools/regal build -o $@ github.com/open-policy-agent/regal

$(OPA): tools/opa/go.mod
	go -C tools/opa build -o $@ github.com/open-policy-agent/opa
