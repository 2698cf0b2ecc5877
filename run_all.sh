#!/usr/bin/env bash
# Trains what is missing, makes every notebook, table and figure, and builds the book of them,
# results/<profile>/book/index.html. Needs Python 3.10 to 3.13: uses the active environment
# if it has every package, else makes .venv here (once; see environment.sh).
#
#   ./run_all.sh [options]
#
#   --profile NAME     smoke, quick (default), laptop or paper: how much is trained
#   --only NAME...     only these notebooks, tables or figures
#   --list             say what there is and what is done, and stop
#   --force            make them again, finished or not; trained networks are kept
#   --workers N        train in N processes side by side; default: one a core, eight at the most; notebooks: four at the most
#   --retry            try again what failed before
#   --device NAME      auto (default), cpu, cuda or mps
#   --precision NAME   float32 (default), tf32, bfloat16 or fastest
#   --data DIR         where the datasets are or go
#   --results DIR      where the results go
#   --set KEY=VALUE    change a setting of the training: epochs=3
#   --verify N         train N records anew, drawn at random by --seed, and say how near they come
#   -h, --help         all options
#
# .venv gets the versions that the results here are made with (constraints.txt). YGAN_LATEST=1 ./run_all.sh takes the newest.
#
# A second start goes on where an earlier one was stopped. Relative folders are relative to where you are.

set -euo pipefail
. "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

for argument in "$@"; do
    case "$argument" in
        -h | --help)
            # Without an environment: the text above, rather than gigabytes for a help text.
            have_environment || { sed -n '2,/^$/s/^# \{0,1\}//p' "$ROOT/run_all.sh"; exit 0; } ;;
    esac
done

need_environment
exec "$PYTHON" -m ygan_study all "$@"
