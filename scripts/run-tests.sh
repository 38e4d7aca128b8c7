#!/usr/bin/env bash
# All tests but those of containers (make test-containers), or those that the arguments name. Usage: run-tests.sh PYTHON FLAGS… [-- ARGUMENTS…]
set -euo pipefail

python=$1
shift
flags=()
while (($#)) && [ "$1" != -- ]; do
  flags+=("$1")
  shift
done
shift || true

if (($#)); then
  exec "$python" -m pytest "${flags[@]}" "$@"
fi

# Two processes; tests/distribution.py says which tests they share how, and in what order.
exec "$python" -m pytest "${flags[@]}" -m "not docker" -n 2 -p tests.distribution
