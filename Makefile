# `make` alone lists the targets. The same flags everywhere, so that all
# targets, the pinned tools and the tests share one build cache.
SHELL        := /bin/bash
.SHELLFLAGS  := -eu -o pipefail -c
.DEFAULT_GOAL := help

export CGO_ENABLED := 0
export GOFLAGS := $(strip $(filter-out -trimpath -buildvcs%,$(GOFLAGS)) -trimpath -buildvcs=false)

LNTPAY  := .lntpay/bin/lntpay
# Packages at a time. Some start a whole stack; more than two do not pay on
# two cores.
PARALLEL ?= 2
# The modules beside the product's: the SDK, its gate for Gin, and the tests
# against Aperture, with Prometheus and of the Kubernetes manifests, which need
# much that the product does not.
MODULES  := sdk/go sdk/go/gingate tests/interop/aperture tests/rules tests/manifests
# What `make test` runs, such as PKG=./ledger/... ARGS='-run TestPost -count=1'.
PKG  ?= ./...
ARGS ?=

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: dev
dev: build ## Run the whole stack on this machine (Ctrl-C stops it)
	$(LNTPAY) dev

.PHONY: build
build: ## Build .lntpay/bin/lntpay
	go build -o $(LNTPAY) .

.PHONY: test
test: $(if $(filter ./...,$(PKG)),test-sdk) ## Run all tests, with a throwaway Postgres and real lnd on regtest
	go run ./tests/cmd/withpostgres go test -p $(PARALLEL) -timeout 30m $(ARGS) $(PKG)

.PHONY: test-short
test-short: ## Run the tests that need no Lightning network
	$(MAKE) test ARGS="-short $(ARGS)"

.PHONY: test-sdk
test-sdk: ## Run the tests of sdk/go and the modules around it, which need nothing
	for module in $(MODULES); do (cd $$module && go test $(ARGS) ./...); done

.PHONY: race
race: ## Run tests under the race detector, which needs gcc; PKG=./workflows for some
	go run ./tests/cmd/withpostgres env CGO_ENABLED=1 go test -race -p $(PARALLEL) -timeout 60m $(ARGS) $(PKG)

# How long each target is fuzzed, and which: FUZZ=bolt11.
FUZZTIME ?= 30s
FUZZ     ?=

.PHONY: fuzz
fuzz: ## Fuzz all parsers of what comes from outside, each for FUZZTIME
	go run ./tests/cmd/withpostgres go run ./tests/cmd/fuzz -for $(FUZZTIME) -run '$(FUZZ)' $(ARGS) . $(MODULES)

.PHONY: lint
lint: lint-format lint-modules lint-generated lint-vet lint-workflows lint-golangci ## Check everything that needs no running code

.PHONY: lint-format
lint-format: # gofmt
	@unformatted=$$(find . -name .lntpay -prune -o -name '*.go' -print | xargs gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change:"; echo "$$unformatted"; exit 1; fi

.PHONY: lint-modules
lint-modules: # go.mod holds what the code imports
	go mod tidy -diff
	# Not of those in tests/: tidy would fetch what their dependencies are
	# tested with, for minutes, and what is missing fails their build anyway.
	for module in $(filter sdk/%,$(MODULES)); do (cd $$module && go mod tidy -diff); done

.PHONY: lint-generated
lint-generated: # sqlc's code fits the queries
	$$(go run ./deploy/devnet/tools/paths sqlc) diff

.PHONY: lint-vet
lint-vet: # go vet
	go vet ./...
	for module in $(MODULES); do (cd $$module && go vet ./...); done

.PHONY: lint-workflows
lint-workflows: # workflow code is deterministic
	$$(go run ./deploy/devnet/tools/paths workflowcheck) ./workflows/...

.PHONY: lint-golangci
lint-golangci: # everything in .golangci.yaml, the layering of packages too
	linter=$$(go run ./deploy/devnet/tools/paths golangci-lint); for module in . $(MODULES); do (cd $$module && $$linter run ./...); done

.PHONY: generate
generate: ## Write the generated code and pages again (sqlc, the settings)
	$$(go run ./deploy/devnet/tools/paths sqlc) generate
	go run ./config/configdoc

# Compose v2 where there is one.
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

.PHONY: images
images: ## Build the images of docker-compose.yml, without a registry
	go run ./deploy/images -env deploy/images.env $(ARGS)

.PHONY: up
up: images .env ## Run docker-compose.yml with them; without an .env on regtest, from nothing
	$(COMPOSE) up --detach

# Passwords that nobody has to know, and the regtest. Yours is left alone.
.env:
	@umask 077; { cat deploy/compose/regtest.env deploy/images.env; \
	for name in POSTGRES_PASSWORD LNTPAY_OWNER_PASSWORD LNTPAY_APP_PASSWORD TEMPORAL_PASSWORD; do \
		echo "$$name=$$(openssl rand -hex 24)"; done; } > .env.new; mv .env.new .env

.PHONY: down
down: ## Stop what `make up` started; its data stays (docker compose down --volumes removes it)
	$(COMPOSE) down

.PHONY: bench
bench: ## Measure the running stack (start it by `make dev`)
	go run ./tests/bench $(ARGS)

.PHONY: soak
soak: ## Look for violations for an hour (SOAK=10m): seeds of tests/model, and all faults on a real stack beside them
	go run ./tests/cmd/withpostgres go run ./tests/cmd/soak $(ARGS)

.PHONY: record-histories
record-histories: ## Record workflow histories for the replay tests anew
	LNTPAY_RECORD_HISTORIES=1 go run ./tests/cmd/withpostgres go test -count=1 -timeout 30m -run /TestHistories ./tests/e2e

.PHONY: record-release
record-release: ## Record data and statements of a release, which later versions must take over
	LNTPAY_RECORD_RELEASE=1 go run ./tests/cmd/withpostgres go test -count=1 -timeout 30m ./tests/e2e

.PHONY: record-examples
record-examples: ## Record the examples of the API's documentation anew
	LNTPAY_RECORD_EXAMPLES=1 go run ./tests/cmd/withpostgres go test -count=1 -run TestExamples ./tests/examples

.PHONY: record-observability
record-observability: ## Record the logs, traces and metrics in docs/observability.md anew
	LNTPAY_RECORD_OBSERVABILITY=1 go run ./tests/cmd/withpostgres go test -count=1 -run TestPage ./tests/observability
