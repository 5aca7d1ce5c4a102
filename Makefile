# `make` lists the targets, `make check` is what has to pass before a commit.
#
# The tools live in tools/go.mod, a module file of their own. The go command builds them when they are
# first used, which takes minutes for golangci-lint; then they are cached.

GO        = go
TOOL      = $(GO) tool -modfile=tools/go.mod
TESTFLAGS =
FUZZTIME  = 10s
FUZZ      = .
BENCH     = .
COUNT     = 1
BASE      =
COVER_MIN = 90
EXAMPLES  = quickstart follow attach doctor transcript fleet
SEED      = 1
ROUNDS    = 5
SELECT    = .
STEPS     = .
GO_OLD    = local
GO_NEW    = go1.27.3
SESSIONS  = 10000
LASTS     = 10m
SCENARIOS = .
GATEWAYS  = nginx,haproxy,varnish
DURATION  = 30s
SOAK      =
RACE      =
VULN_GO   = go1.26.11 go1.27.4
UNCHECKED =

ORIGINAL   = internal/parity/node
COMPARISON = internal/bench
XNET       = internal/xnet
OTEL       = otelcoder
MCP        = examples/mcp
WEBHOOK    = examples/webhook
BROWSER    = internal/browser
SERVERS    = internal/servers/js
LEAD       = internal/reallead/npm

.NOTPARALLEL:
.PHONY: help release-check api systems check plan static test fmt fmt-check vet lint tidy-check build fuzz bench bench-compare bench-live bench-growth growth-svg lateness cover examples parity xnet otel mcp webhook browser gateways servers lead vuln soak hostile mutants nightly

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' Makefile

check: plan vet build test lint fmt-check tidy-check ## Everything that has to pass before a commit
static: vet build lint fmt-check tidy-check ## What `check` does besides the tests

plan:
	@echo 'check: go vet, go build, go test -race (about 2 min), golangci-lint (its first build takes minutes),'
	@echo '       the format, and tidy go.mod files. Stops at the first that fails.'

test: ## Run the tests with the race detector, in random order
	$(GO) test -race -shuffle=on -timeout 15m ./... $(TESTFLAGS)
	$(GO) -C $(COMPARISON) test ./...

fmt: ## Format the code and group the imports
	$(TOOL) golangci-lint fmt

fmt-check: ## Fail and show a diff if `make fmt` would change something
	$(TOOL) golangci-lint fmt --diff

vet: ## Run go vet
	$(GO) vet ./...
	$(GO) -C $(COMPARISON) vet ./...
	$(GO) -C $(XNET) vet ./...
	$(GO) -C $(OTEL) vet ./...
	$(GO) -C $(MCP) vet ./...
	$(GO) -C $(WEBHOOK) vet ./...
	$(GO) -C $(BROWSER) vet ./...

# The comparison prints, ends with a status, and replaces the library by what is here: what the last
# three linters forbid is about the library. The last two are about the library for otelcoder too.
lint: ## Run the linters listed in .golangci.yml
	$(TOOL) golangci-lint run
	cd $(COMPARISON) && $(GO) tool -modfile=../../tools/go.mod golangci-lint run \
		--config ../../.golangci.yml --disable forbidigo,gomoddirectives,depguard
	cd $(OTEL) && $(GO) tool -modfile=../tools/go.mod golangci-lint run --config ../.golangci.yml --disable gomoddirectives,depguard
	cd $(BROWSER) && $(GO) tool -modfile=../../tools/go.mod golangci-lint run --config ../../.golangci.yml --disable gomoddirectives,depguard
	cd $(WEBHOOK) && $(GO) tool -modfile=../../tools/go.mod golangci-lint run --config ../../.golangci.yml --disable gomoddirectives,depguard
	cd $(MCP) && $(GO) tool -modfile=../../tools/go.mod golangci-lint run --config ../../.golangci.yml --disable forbidigo,gomoddirectives,depguard

tidy-check: ## Fail and show a diff if a go.mod or go.sum is not tidy
	$(GO) mod tidy -diff
	$(GO) -C tools mod tidy -diff
	$(GO) -C $(COMPARISON) mod tidy -diff
	$(GO) -C $(XNET) mod tidy -diff
	$(GO) -C $(OTEL) mod tidy -diff
	$(GO) -C $(MCP) mod tidy -diff
	$(GO) -C $(WEBHOOK) mod tidy -diff
	$(GO) -C $(BROWSER) mod tidy -diff

build: ## Compile everything as a release would be
	$(GO) build -trimpath ./...

fuzz: ## Run every fuzz target for FUZZTIME (10s; or a count, 5000x); FUZZ=regexp selects
	@list=$$($(GO) test -list '^Fuzz' ./...) || { echo "$$list"; exit 1; }; \
	echo "$$list" | awk '/^Fuzz/ { name[n++] = $$1 } \
		/^ok/ { for (i = 0; i < n; i++) if (name[i] ~ /$(FUZZ)/) print $$2, name[i]; n = 0 }' | \
	{ count=0; while read -r package target; do \
		echo "== $$target ($$package) for $(FUZZTIME)"; \
		$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$package" </dev/null || exit 1; \
		count=$$((count + 1)); \
	done; echo "$$count fuzz targets passed"; }

bench: ## Run the benchmarks matching BENCH, COUNT times; BASE=old.out compares with bench.out of then
	@if [ $(COUNT) -eq 1 ]; then \
		$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem ./...; \
	else \
		$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./... >bench.out || \
			{ cat bench.out; exit 1; }; \
		$(TOOL) benchstat $(BASE) bench.out; \
	fi

# Needs Linux, and Node and npm as `parity` does. It takes 15 to 20 minutes, and wants a machine with nothing else to do. The
# newer Go comes through the Go module proxy; where it cannot be had, GO_OLD is all there is.
bench-compare: $(ORIGINAL)/node_modules/.package-lock.json ## Measure docs/performance.md with GO_OLD and GO_NEW in ROUNDS (5) rounds; SELECT=regexp selects
	$(GO) -C $(COMPARISON) run . -rounds $(ROUNDS) -select '$(SELECT)' -go '$(GO_OLD) $(GO_NEW)'

# Needs Linux, and as many open files as SESSIONS.
bench-live: ## Watch SESSIONS (10000) streams and WebSockets at once for LASTS (10m), with a restart of the Hub
	$(GO) -C $(COMPARISON) run . live -sessions $(SESSIONS) -for $(LASTS) -go '$(GO_NEW)'

bench-growth: ## Measure docs/growth.csv in ROUNDS (5) rounds, and draw docs/growth.svg
	$(GO) -C $(COMPARISON) run . growth -rounds $(ROUNDS) -go '$(GO_NEW)'
	@$(MAKE) growth-svg

growth-svg: ## Draw docs/growth.svg from docs/growth.csv
	$(GO) -C $(COMPARISON) run ./growth ../../docs/growth.csv ../../docs/growth.svg

lateness: ## Measure over sockets how late calls end after their context, whatever lets them wait; fail above 100 ms
	$(GO) run ./internal/lateness

# A statement counts as covered when the tests of any package reach it. Programs (examples, the code
# generator) and the parity suite are no part of the library.
cover: ## Measure the coverage of the library's packages; fail below COVER_MIN (90) percent
	@library=$$($(GO) list -f '{{if ne .Name "main"}}{{.ImportPath}}{{end}}' ./... | grep -v '/internal/parity' | paste -sd, -); \
	$(GO) test -coverpkg="$$library" -coverprofile=cover.out ./... >cover.log || { sed 's/coverage: .*//' cover.log; exit 1; }
	@$(GO) tool cover -func=cover.out | awk '/^total:/ { print "coverage: " $$3 ", at least $(COVER_MIN)% wanted"; exit $$3 + 0 < $(COVER_MIN) }'

examples: ## Run the example programs that need nobody, on their embedded Hub
	@unset AGENTUITY_SDK_KEY AGENTUITY_CLI_KEY AGENTUITY_CODER_URL AGENTUITY_CATALYST_URL; \
	for example in $(EXAMPLES); do \
		echo "== examples/$$example"; \
		$(GO) run ./examples/$$example </dev/null || exit 1; \
	done

# Needs Node and npm. The original client is installed from its lock file, for the comparison alone.
# Run inside the folder, go test shows what the suite prints.
parity: $(ORIGINAL)/node_modules/.package-lock.json ## Compare with the TypeScript client, on scenarios made from SEED (1)
	$(GO) vet -tags parity ./internal/parity
	$(GO) -C internal/parity test -tags parity -count=1 -timeout 5m -seed $(SEED)

xnet: ## Test with the HTTP/2 transport of golang.org/x/net
	$(GO) -C $(XNET) test -count=1 -timeout 2m ./...

mcp: ## Test examples/mcp, a module of its own, with the race detector
	$(GO) -C $(MCP) test -race -timeout 5m ./...

webhook: ## Test examples/webhook, a module of its own, with the race detector
	$(GO) -C $(WEBHOOK) test -race -timeout 5m ./...

# Needs Chromium: apt-get install chromium, or its name in CHROMIUM.
browser: ## Drive examples/console in Chromium
	$(GO) -C $(BROWSER) test -count=1 -timeout 10m ./...

otel: ## Test otelcoder, the module for OpenTelemetry, with the race detector
	$(GO) -C $(OTEL) test -race -timeout 5m ./...

# The standard library counts: VULN_GO are the newest patch releases, which come through the Go module proxy.
vuln: ## Look for known vulnerabilities in what the released modules call, with VULN_GO; UNCHECKED=allowed where there is no database
	@GO='$(GO)' UNCHECKED='$(UNCHECKED)' tools/vuln.sh $(VULN_GO)

api: ## Compare what is exported with the last release: CHANGELOG.md must name every change
	@GO='$(GO)' tools/api.sh

systems: ## Vet all packages as they are on Windows and macOS
	GOOS=windows $(GO) vet ./...
	GOOS=darwin $(GO) vet ./...

# A release tags the library first, then otelcoder, which must require that version by then: CONTRIBUTING.md.
release-check: ## Fail while a module of a release requires what only this repository has: before a tag, by hand
	@for module in . $(OTEL); do \
		text=$$($(GO) -C $$module mod edit -print) || exit 1; \
		if echo "$$text" | grep -E '^replace|=>|agentuity/coder-go v0\.0\.0'; then \
			echo "release-check: $$module/go.mod cannot be released: see Release in CONTRIBUTING.md"; exit 1; \
		fi; \
	done; echo 'release-check: the go.mod files can be released'

# Needs Debian bookworm and root: it installs gateways.
gateways: ## Test behind GATEWAYS (nginx,haproxy,varnish), by the matrix of docs/gateways.md
	$(GO) vet -tags gateways ./internal/gateways
	$(GO) -C internal/gateways test -tags gateways -count=1 -timeout 15m -gateways '$(GATEWAYS)'

soak: ## Use every method through networks and a Hub that fail, for DURATION (30s) with SEED (1); RACE=-race; SOAK has more flags
	$(GO) run $(RACE) ./internal/soak -duration $(DURATION) -seed $(SEED) $(SOAK)

# Needs Linux.
hostile: ## Measure the memory that hostile answers take, for docs/reliability.md
	$(GO) run ./internal/hostile -write docs/reliability.md

# An hour or two. Changes of one operator that no test finds must stand in internal/mutants/survivors.txt.
mutants: ## Test the tests of internal/transport and internal/agentrun, by changing one operator at a time
	$(GO) run ./internal/mutants ./internal/transport ./internal/agentrun

# Hours. What each step printed last is in docs/nightly.
nightly: ## All there is: vuln, gateways, servers, lead, simulations, hostile, lateness, soaks, fuzzing by time, mutants, two Go versions; STEPS=regexp selects
	@GO_OLD='$(GO_OLD)' GO_NEW='$(GO_NEW)' tools/nightly.sh '$(STEPS)'

# Needs Node and npm. Most of the time is spent waiting for what the servers close by themselves: hence -parallel.
servers: $(SERVERS)/node_modules/.package-lock.json ## Test against Bun, Node and Hono, by the matrix of docs/servers.md
	$(GO) vet -tags servers ./internal/servers
	$(GO) -C internal/servers test -tags servers -count=1 -parallel 8 -timeout 5m

# Needs Node, npm and curl, on Linux. npm installs 600 MB the first time. Some scenarios wait up to 20 s.
lead: $(foreach part,node pi-0.74.2 pi-1.6.0,$(LEAD)/$(part)/node_modules/.package-lock.json) ## Let the real agent lead, by the table of docs/real-agent.md; SCENARIOS=regexp selects
	$(GO) vet -tags lead ./internal/reallead
	$(GO) -C internal/reallead test -tags lead -count=1 -parallel 6 -timeout 20m -run '(TestLead|TestAsk)/$(SCENARIOS)'

$(LEAD)/%/node_modules/.package-lock.json: $(LEAD)/%/package.json $(LEAD)/%/package-lock.json $(LEAD)/%/.npmrc
	cd $(LEAD)/$* && npm ci --no-audit --no-fund
	@touch $@

$(ORIGINAL)/node_modules/.package-lock.json: $(ORIGINAL)/package.json $(ORIGINAL)/package-lock.json $(ORIGINAL)/.npmrc
	cd $(ORIGINAL) && npm ci --no-audit --no-fund
	@touch $@

# Bun's package is a script that puts the program of this machine in its place. It is the only script that is run.
$(SERVERS)/node_modules/.package-lock.json: $(SERVERS)/package.json $(SERVERS)/package-lock.json $(SERVERS)/.npmrc
	cd $(SERVERS) && npm ci --no-audit --no-fund && cd node_modules/bun && node install.js
	@touch $@
