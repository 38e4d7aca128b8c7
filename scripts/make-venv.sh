#!/bin/sh
# Make a virtual environment with Python 3.11 or newer, unless it is there: scripts/make-venv.sh DIRECTORY
set -eu

die() {
    echo "$0: $*" >&2
    exit 1
}

# The command may exist and not run (a shim of a version manager), so it is asked rather than looked for.
is_usable() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

[ $# -eq 1 ] || die "name one directory, for example: $0 .venv"
is_usable "$1/bin/python" && exit 0

for python in "${PYTHON:-}" python3.11 python3; do
    if [ -n "$python" ] && is_usable "$python"; then
        "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
            die "$python cannot make virtual environments: install it (Debian, Ubuntu: apt-get install python3-venv)."
        echo "Making $1 with $("$python" --version); installing takes some minutes"
        exec "$python" -m venv --clear "$1"
    fi
done
die "Python 3.11 or newer is needed: install it (Debian 12: apt-get install python3 python3-venv), or set PYTHON."
