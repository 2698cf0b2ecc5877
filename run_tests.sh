#!/usr/bin/env bash
# Runs the tests: ./run_tests.sh [pytest arguments]. Finds or makes the environment as run_all.sh does.
# YGAN_LATEST=1 ./run_tests.sh: with the newest versions in place of those of constraints.txt.

set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

need_environment dev
cd "$ROOT"
[ $# -gt 0 ] || set -- tests --numprocesses=2 --dist=loadfile # a file in one process: what its tests share is made once
exec "$PYTHON" -m pytest "$@"
