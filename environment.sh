# Sourced by run_all.sh and run_tests.sh. need_environment finds or makes a Python environment with what
# pyproject.toml lists ("need_environment dev": with its dev extra too) and leaves its Python in $PYTHON:
#   the active `python` or `python3`, if it has everything; else .venv beside this file, made once.
# .venv gets the versions of constraints.txt. YGAN_LATEST=1: the newest versions instead, as of that installation.
# An interrupted installation goes on at the next start. A changed pyproject.toml, constraints.txt or YGAN_LATEST installs again.
# TORCH_CPU_INDEX: another address for PyTorch's CPU wheels (Linux without an NVIDIA GPU).

ROOT="$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
VENV="$ROOT/.venv"
TORCH_CPU_INDEX="${TORCH_CPU_INDEX:-https://download.pytorch.org/whl/cpu}"
case "${YGAN_LATEST:-0}" in
    0) VERSIONS=(-c constraints.txt) ;;
    1) VERSIONS=(--upgrade --upgrade-strategy eager) ;;
    *) printf '%s\n' "YGAN_LATEST=$YGAN_LATEST: it is 1, or 0" >&2; exit 2 ;;
esac

say() { printf '%s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

# real_python NAME: its real path, if it runs (pyenv's shims may not) and is Python 3.10 to 3.13.
real_python() {
    "$1" -c 'import sys; (3, 10) <= sys.version_info[:2] <= (3, 13) or sys.exit(1); print(sys.executable)' 2>/dev/null
}

# is_complete PYTHON ARRAY...: has every package of these arrays of pyproject.toml, in a sufficient version.
# Prints the first of them whose version is not the one of constraints.txt, and how many more there are.
is_complete() {
    local python="$1"
    shift
    "$python" - "$ROOT" "$@" 2>/dev/null <<'PYTHON'
import re, sys
from importlib.metadata import version
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

folder, *arrays = sys.argv[1:]
text = open(folder + "/pyproject.toml", encoding="utf-8").read()
lines = open(folder + "/constraints.txt", encoding="utf-8").read().splitlines()
pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
pins = {canonicalize_name(pin.name): pin.specifier for pin in pins if not pin.marker or pin.marker.evaluate()}
different = []
for name in arrays:
    array = re.search(r"^%s = \[\n(.*?)^\]" % name, text, re.M | re.S).group(1)
    for need in map(Requirement, re.findall('"(.+)"', array)):
        found, pin = version(need.name), pins.get(canonicalize_name(need.name))
        if not need.specifier.contains(found, prereleases=True):
            sys.exit(1)
        if pin and not pin.contains(found, prereleases=True):  # 2.14.1+cpu is 2.14.1
            different.append("%s %s, not %s" % (need.name, found, str(pin).lstrip("=")))
if different:
    print(different[0] + ("; %d more" % (len(different) - 1) if different[1:] else ""))
PYTHON
}

# ready_mark [dev]: what .venv/.ready holds when everything is installed.
ready_mark() { printf '%s\n' "$(cat "$ROOT/pyproject.toml" "$ROOT/constraints.txt" | cksum) ${VERSIONS[*]} ${1:-}"; }

# have_environment [dev]: true, with $PYTHON set, if an environment is there; installs nothing.
# $DIFFERENT: the versions of an active environment that are not those of constraints.txt.
have_environment() {
    local name
    for name in python python3; do
        PYTHON="$(real_python "$name")" || continue
        case "$PYTHON" in "$VENV"/*) continue ;; esac # .venv's own mark decides below
        if DIFFERENT="$(is_complete "$PYTHON" dependencies ${1:+"$1"})"; then return 0; fi
    done
    PYTHON="$VENV/bin/python"
    real_python "$PYTHON" >/dev/null || return 1
    case "$(cat "$VENV/.ready" 2>/dev/null)" in
        "$(ready_mark dev)" | "$(ready_mark "${1:-}")") return 0 ;;
    esac
    return 1
}

# base_python: the Python to make .venv with.
base_python() {
    local name path without=""
    for name in python3 python python3.13 python3.12 python3.11 python3.10; do
        path="$(real_python "$name")" || continue
        if "$path" -c 'import ensurepip, venv' 2>/dev/null; then
            "$path" -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))' # not the one in .venv
            return
        fi
        without="$path"
    done
    [ -z "$without" ] || fail "$without cannot make environments: sudo apt install python3-venv, then run this again."
    fail "No Python 3.10, 3.11, 3.12 or 3.13 found: install one (python.org, conda, apt, brew), then run this again."
}

install() { (cd "$ROOT" && "$PYTHON" -m pip install --disable-pip-version-check "$@"); }

# quiet_jupyter: .venv's JupyterLab asks no question about news, asks no server for updates and looks for no language servers.
# The user's own settings stay as they are, and win.
quiet_jupyter() {
    mkdir -p "$VENV/etc/jupyter" "$VENV/share/jupyter/lab/settings"
    printf '%s\n' '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}' \
        >"$VENV/share/jupyter/lab/settings/overrides.json"
    printf '%s\n' '{"LanguageServerManager": {"autodetect": false}}' >"$VENV/etc/jupyter/jupyter_server_config.json"
}

# make_venv [dev]: makes .venv, or goes on where an earlier start was stopped.
make_venv() {
    local extra="${1:-}" base site package
    trap 'say "Stopped. The same command goes on from here."; exit 130' INT TERM
    PYTHON="$VENV/bin/python"
    rm -f "$VENV/.ready"
    # pip writes INSTALLER last: a package without it is half there.
    if real_python "$PYTHON" >/dev/null && "$PYTHON" -m pip --version >/dev/null 2>&1 &&
        ls "$VENV"/lib/python*/site-packages/pip-*.dist-info/INSTALLER >/dev/null 2>&1; then
        say "Installing into .venv: a few minutes, up to about 6 GB; once."
    else
        base="$(base_python)" || exit 1
        say "Making .venv with $base: a few minutes, up to about 6 GB; once."
        "$base" -m venv --clear "$VENV" || { rm -rf "$VENV"; fail "$base could not make .venv (see above)."; }
    fi
    for site in "$VENV"/lib/python*/site-packages; do
        rm -rf "$site"/~*
        for package in "$site"/*.dist-info; do [ -e "$package/INSTALLER" ] || rm -rf "$package"; done
    done

    if [ "$(uname -s)" = Linux ] && [ -z "$(nvidia-smi -L 2>/dev/null | grep '^GPU' || true)" ]; then
        if "$PYTHON" -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=10)' "$TORCH_CPU_INDEX/torch/" 2>/dev/null; then
            say "No NVIDIA GPU: installing PyTorch's CPU wheels, about 200 MB in place of several GB."
            # Without their dependencies: this index has few versions of those. PyPI has all, and comes next.
            # shellcheck disable=SC2046  # two requirements, two words
            install "${VERSIONS[@]}" --no-deps --index-url "$TORCH_CPU_INDEX" $(grep -oE '"torch(vision)?[^"]*"' "$ROOT/pyproject.toml" | tr -d '"') ||
                say "The CPU wheels failed: going on with the ordinary PyTorch, several GB."
        else
            say "No NVIDIA GPU, but $TORCH_CPU_INDEX does not answer: installing the ordinary PyTorch, several GB."
        fi
    fi
    install -q "pip>=22" && install "${VERSIONS[@]}" -e ".${extra:+[$extra]}" ||
        fail "The installation failed (pip says why above). With a network, run the same command again: it goes on where it stopped."
    quiet_jupyter
    ready_mark "$extra" >"$VENV/.ready"
    trap - INT TERM
}

need_environment() {
    have_environment "${1:-}" || make_venv "${1:-}"
    say "Using $("$PYTHON" -V) at $PYTHON"
    [ -z "${DIFFERENT:-}" ] || [ "${VERSIONS[0]}" != -c ] ||
        say "Not the versions of constraints.txt ($DIFFERENT): results may differ in the last digits. YGAN_LATEST=1 silences this line."
    export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"
}
