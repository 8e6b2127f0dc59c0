#!/usr/bin/env bash
# Write the bill of materials of the server, CycloneDX in JSON, with the hash of every file that may be installed: tools/sbom.sh [FILE [OPTION...]]
# It is made from the lock file alone, so that it needs no network and comes out the same each time.
set -euo pipefail
cd "$(dirname "$0")/.."

file=${1:-build/sbom.json}
shift || true
mkdir -p "$(dirname "$file")"
.venv/bin/cyclonedx-py requirements --pyproject server/pyproject.toml --output-reproducible "$@" -o "$file" server/requirements.lock
echo "$file"
