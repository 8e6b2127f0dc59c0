#!/usr/bin/env bash
# Print the first Python that can make our virtual environment: 3.11 or later, with venv and ensurepip.
# It looks at the names given, or at the usual ones, newest first: tools/find-python.sh [PYTHON...]
set -euo pipefail

if (($# == 0)); then
    set -- python3.13 python3.12 python3.11 python3
fi

probe='import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))'
for name in "$@"; do
    # Run it rather than look for it: a version manager's shim can be there and still refuse to start.
    if "$name" -c "$probe" >/dev/null 2>&1; then
        echo "$name"
        exit
    fi
done

echo "error: Jobwire needs Python 3.11 or later with its venv and ensurepip modules (on Debian and Ubuntu
       the package python3-venv), and none of these is one: $*
       If yours has another name, say so: make setup PYTHON=/path/to/python" >&2
exit 1
