#!/usr/bin/env bash
# ./test.sh            everything, in the short form (CI)
# ./test.sh lint|go|bench|fuzz|lab|js|e2e|house   one part
# ./test.sh long       the long form: 1,000,000 messages through faults, 60 s a fuzz target, the peers
#
# Each part prints its seconds. As root on Debian it installs what a part needs;
# elsewhere it prints the command and fails that part. Nothing is skipped.
set -uo pipefail
cd "$(dirname "$0")"
export CGO_ENABLED=1
lint="go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0"
passed=0 failed=0

# need COMMAND PACKAGE: the command exists, or is installed.
need() {
	command -v "$1" >/dev/null && return
	local install="apt-get update && apt-get install -y --no-install-recommends $2"
	if [ "$(id -u)" = 0 ] && [ -f /etc/debian_version ]; then
		echo "installing $2"
		(apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $2) >/tmp/h5im-apt.log 2>&1 && return
		tail -5 /tmp/h5im-apt.log
	fi
	echo "missing: $1; install it with: $install" >&2
	return 1
}

part() {
	local name=$1 begin=$SECONDS
	shift
	echo "== $name"
	if (set -e; "$@"); then
		passed=$((passed + 1))
		echo "-- $name: ok, $((SECONDS - begin)) s"
	else
		failed=$((failed + 1))
		echo "-- $name: FAILED, $((SECONDS - begin)) s"
	fi
}

modules() { git ls-files '*go.mod' | xargs -n1 dirname; }
house() {
	test -z "$(gofmt -l $(git ls-files '*.go'))" || { gofmt -l $(git ls-files '*.go'); return 1; }
	bash .ci/house_test.sh
}

lint() {
	for m in $(modules); do (cd "$m" && GOWORK=off $lint run ./...); done
}

gotest() {
	need gcc gcc
	need nginx nginx
	for m in $(modules); do
		(cd "$m" && GOWORK=off go vet ./... && GOWORK=off go test -race -timeout 10m "$@" ./...)
	done
	# Lengths of 32 bits overflow an int of 32 bits.
	case $(go env GOHOSTOS)/$(go env GOHOSTARCH) in
	linux/amd64) GOWORK=off GOARCH=386 CGO_ENABLED=0 go test ./im/wire ;;
	*) echo "the protocol on 32 bits is tested on linux/amd64 alone" ;;
	esac
}

# away MESSAGES: catching up after so many.
away() { GOWORK=off go test ./im -run AMonthAway -away "$1" -timeout 20m -v; }

# fuzz SECONDS: every target of the root module. Before Go 1.27 a fuzzer that
# found nothing may fail with its own deadline (https://go.dev/issue/75804); what
# it finds it always writes down.
fuzz() {
	local seconds=$1 file target log
	log=$(mktemp)
	git grep -l '^func Fuzz' -- '*_test.go' | while read -r file; do
		grep -ho '^func Fuzz[A-Za-z0-9_]*' "$file" | awk '{print $2}' | while read -r target; do
			GOWORK=off go test -run '^$' -fuzz "^$target\$" -fuzzminimizetime 10x -fuzztime "${seconds}s" "./$(dirname "$file")" </dev/null 2>&1 |
				tee "$log" && continue
			grep -q '^ *context deadline exceeded$' "$log" && ! grep -qiE 'failing input|panic' "$log" || return 1
			echo "found nothing: the deadline was the fuzzer's own"
		done || return 1
	done
}

# bench FLAGS: the tool that measures us beside others; -quick tests the tool.
bench() {
	(cd examples/bench && GOWORK=off go run . "$@")
}

# lab FLAGS: the fault laboratory. The server that is killed has no race detector.
lab() {
	(cd examples && go test -race -count=1 -run Checker ./lab && go test -count=1 -timeout 0 ./lab -v "$@")
}

node() {
	need node nodejs
	need npm npm
	command node -e 'process.exit(+process.versions.node.split(".")[0] >= 20 ? 0 : 1)' ||
		{ echo "Node 20 or later is needed" >&2; return 1; }
}

js() {
	node
	(cd sdkjs && npm ci --no-audit --no-fund --loglevel=error && npm run check &&
		command node --experimental-websocket e2e/restarts.mjs "${1:-10}")
}

e2e() {
	node
	need chromium "chromium fonts-noto-cjk"
	(cd examples/e2e && npm ci --no-audit --no-fund --loglevel=error && npm test)
}

case ${1:-all} in
all)
	part house house
	part lint lint
	part go gotest
	part bench bench -quick
	part fuzz fuzz 5
	part lab lab -messages 20000
	part js js
	part e2e e2e
	;;
house) part house house ;;
lint) part lint lint ;;
go) part go gotest ;;
bench) part bench bench -quick ;;
fuzz) part fuzz fuzz 5 ;;
lab) part lab lab -messages 20000 ;;
js) part js js ;;
e2e) part e2e e2e ;;
long)
	part go gotest -count=3
	part away away 1000000
	part bench bench
	part fuzz fuzz 60
	part lab lab -messages 1000000 -soak 30m
	part js js 120
	part e2e e2e
	;;
*)
	sed -n '2,7s/^# \{0,1\}//p' "$0"
	exit 2
	;;
esac

echo "total: $SECONDS s"
echo "parts: $passed passed, $failed failed"
[ "$failed" = 0 ]
