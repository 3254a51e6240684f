#!/usr/bin/env bash
# Rules about the whole tree that no compiler knows.
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { echo "house: $*" >&2; exit 1; }

direct=$(awk '/^require \(/{b=1;next} b&&/^\)/{b=0} (b||/^require [^(]/)&&!/indirect/{sub(/^require /,"");print $1}' go.mod | sort | tr '\n' ' ')
[ "$direct" = "github.com/vmihailenco/msgpack/v5 go.etcd.io/bbolt nhooyr.io/websocket " ] ||
	fail "the root module requires directly: $direct"

for f in README.md README.zh-CN.md CHANGELOG.md DESIGN.md LICENSE doc.go im/wire/PROTOCOL.md; do
	[ -s "$f" ] || fail "$f is missing"
done

folders=$(git ls-files | awk -F/ 'NF > 1 {print $1}' | sort -u | tr '\n' ' ')
[ "$folders" = ".ci examples im sdkjs store transport " ] || fail "top-level folders: $folders"

if grep -q '"resolved": "http' sdkjs/package-lock.json examples/e2e/package-lock.json; then
	fail "a package-lock.json names a registry"
fi

# The rename command moves the path everywhere, and what it makes still builds.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z | xargs -0 cp --parents -t "$copy"
(
	cd "$copy"
	git init -q && git add -A
	./.ci/rename example.org/renamed/chat >/dev/null
	if git grep -qF 'example.com/h5im' -- . ':!CHANGELOG.md'; then
		git grep -nF 'example.com/h5im' | head -3
		fail "the rename left something"
	fi
	go build ./... && cd examples && go build ./...
)
echo "house: ok"
