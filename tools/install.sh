#!/usr/bin/env bash
# Install one lock file into .venv, every hash checked: tools/install.sh LOCK_FILE [PIP_OPTION...]
# uv does it in seconds; where it cannot (a package mirror that only pip is set up for), pip does.
set -euo pipefail
cd "$(dirname "$0")/.."

lock=$1
shift
options=(--quiet --require-hashes --no-deps "$@" -r "$lock")

if ! .venv/bin/uv pip install --system-certs --python .venv/bin/python "${options[@]}"; then
    echo "uv could not install $lock; trying pip." >&2
    .venv/bin/python -m pip install --disable-pip-version-check "${options[@]}"
fi
