#!/bin/sh
# Makes .venv from requirements.lock, once. Invariant: when this exits 0, .venv holds exactly the locked
# packages (by hash) and this checkout, installed in place, so nothing stale is ever run.
#
# The stamp holds a checksum of everything the environment depends on: a changed lock or interpreter, or a
# checkout that was moved, makes it anew; a changed pyproject.toml only installs the project again.
# PYTHON names an interpreter; otherwise the first that will do is taken.
set -eu
cd "$(dirname "$0")/.."

venv=.venv
oldest=11
newest=13

fail() {
    printf 'chengxin: %s\n' "$*" >&2
    exit 1
}

# The minor version of a Python 3 that runs at all (a pyenv shim may exist and not run), else nothing.
minor_of() {
    "$1" -c 'import sys; print(sys.version_info[1] if sys.version_info[0] == 3 else -1)' 2>/dev/null || true
}

has_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

# Sets python, or stops with the one thing to do. A tried version comes before a newer one.
find_python() {
    python='' without_venv='' untried=''
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 /usr/bin/python3}; do
        minor=$(minor_of "$candidate")
        if [ -z "$minor" ] || [ "$minor" -lt "$oldest" ]; then
            continue
        elif ! has_venv "$candidate"; then
            without_venv=${without_venv:-$candidate}
        elif [ "$minor" -gt "$newest" ]; then
            untried=${untried:-$candidate}
        else
            python=$candidate
            return
        fi
    done
    if [ -n "$untried" ]; then
        python=$untried
        echo "chengxin: $untried is newer than 3.$newest, the newest that was tried; going on with it" >&2
    elif [ -n "$without_venv" ]; then
        [ "$("$without_venv" -c 'import os, sys; print(os.path.realpath(sys.executable))')" = \
            "$(readlink -f /usr/bin/python3 2>/dev/null)" ] && package=python3-venv \
            || package=python3.$(minor_of "$without_venv")-venv
        fail "$without_venv cannot make a virtual environment. On Debian or Ubuntu: sudo apt-get install $package"
    else
        found=$("${PYTHON:-python3}" --version 2>/dev/null || echo 'not to be found')
        fail "needs Python 3.$oldest to 3.$newest, and ${PYTHON:-python3} is $found." \
            "On Debian 12 or 13: sudo apt-get install python3 python3-venv;" \
            "if you have another one, name it: make PYTHON=/path/to/python3.12"
    fi
}

environment_key() {
    { pwd && cat requirements.lock && "$venv/bin/python" -c 'import sys; print(sys.version)'; } 2>/dev/null | cksum
}

project_key() {
    environment_key && cksum <pyproject.toml
}

stamped() { # stamped NAME KEY
    [ -f "$venv/.chengxin-$1" ] && [ "$(cat "$venv/.chengxin-$1")" = "$2" ]
}

if ! stamped lock "$(environment_key)"; then
    find_python
    echo "chengxin: making $venv with $("$python" --version) and the locked packages (a minute or so, once)"
    "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install -qq --no-input --disable-pip-version-check \
        --require-hashes --no-deps -r requirements.lock \
        || fail "installing requirements.lock failed (see above); with a package index in reach, try again"
    environment_key >"$venv/.chengxin-lock"
fi
if ! stamped project "$(project_key)"; then
    "$venv/bin/python" -m pip install -qq --no-input --disable-pip-version-check \
        --no-deps --no-build-isolation --editable .
    project_key >"$venv/.chengxin-project"
fi
