#!/usr/bin/env bash
# All tests but those of containers (make test-containers), or those that the arguments name. Usage: run-tests.sh PYTHON FLAGS… [-- ARGUMENTS…]
set -uo pipefail

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

# Whole platforms want the machine for themselves, and compile the kernels that the others find; these run side by side.
flags+=(-m "not docker")
whole=(tests/endtoend tests/faults/platform)
status=0
"$python" -m pytest "${flags[@]}" "${whole[@]}" || status=$?
"$python" -m pytest "${flags[@]}" -n 2 --dist loadfile "${whole[@]/#/--ignore=}" || status=$?
exit "$status"
