#!/bin/sh
# Writes requirements.lock: one file for Python 3.11 to 3.13 on x86-64 and arm64, every artefact by hash, no
# index named. Usage: lock.sh uv==VERSION [--upgrade]. The resolver has a room of its own, .lock-tools/.
set -eu
cd "$(dirname "$0")/.."

uv=$1
shift
tools=.lock-tools
[ -x "$tools/bin/uv" ] && [ "$("$tools/bin/uv" --version | cut -d' ' -f2)" = "${uv#uv==}" ] || {
    "${PYTHON:-python3}" -m venv --clear "$tools"
    "$tools/bin/python" -m pip install --quiet --no-input --disable-pip-version-check "$uv"
}

new=$(mktemp requirements.lock.XXXXXX)
trap 'rm -f "$new"' EXIT
[ -f requirements.lock ] && cat requirements.lock >"$new" # pins that still fit stay
"$tools/bin/uv" pip compile pyproject.toml --extra test --extra dev --universal --python-version 3.11 \
    --system-certs --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --quiet --no-progress \
    --output-file "$new" "$@" >/dev/null
{
    echo "# Made by 'make lock' from pyproject.toml: runtime, tests, tools and build backend, for Python 3.11 to 3.13"
    echo "# on x86-64 and arm64. Installed by 'make venv' with --require-hashes. Do not edit by hand."
    grep -v '^# ' "$new"
} >requirements.lock
