.DEFAULT_GOAL := help
LINT := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: help
help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

.PHONY: run
run: ## The chat example on http://127.0.0.1:8080
	go run ./examples/chat

.PHONY: test
test: ## Everything that CI runs
	./test.sh

.PHONY: long
long: ## The long form: more kills, longer fuzzing
	./test.sh long

.PHONY: lint
lint: ## golangci-lint in every module
	$(LINT) run ./...
	cd examples && $(LINT) run ./...

.PHONY: sdk
sdk: ## Build sdkjs/dist and the generated types
	cd sdkjs && npm ci --no-audit --no-fund && npm run types && npm run build

.PHONY: golden
golden: ## Rewrite golden files after a deliberate change
	go test ./im ./im/wire -update

.PHONY: bench
bench: ## The server beside what people would pick instead: minutes
	cd examples/bench && GOWORK=off go build -o "$${TMPDIR:-/tmp}/h5im-bench" . && "$${TMPDIR:-/tmp}/h5im-bench"

.PHONY: bench-quick
bench-quick: ## Whether that tool works: seconds
	cd examples/bench && GOWORK=off go run . -quick

.PHONY: bench-parts
bench-parts: ## The benchmarks of single packages, each with its peer
	go test ./store/bolt -run xxx -bench 'Writers|Latency|Page|Disk' -benchtime 1x -timeout 20m
	go test ./transport/websocket -run xxx -bench Delivery/paced -benchtime 60x
	go test ./transport/websocket -run xxx -bench Idle/naive -benchtime 1x
	go test ./transport/websocket -run xxx -bench Idle/ours -benchtime 1x
	go test ./im/wire -run xxx -bench . -benchtime 2s
	go test ./im -run xxx -bench . -benchtime 3s

.PHONY: rename
rename: ## make rename MODULE=example.org/chat: move the module path everywhere
	./.ci/rename $(MODULE)
