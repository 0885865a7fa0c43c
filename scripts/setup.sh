#!/bin/sh
# Make a virtual environment in the folder $1 and install elman into it, at the versions of constraints.txt.
set -eu
venv=$1

# The first interpreter that runs (a version manager may leave names behind that do not) and is new enough.
python=
for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    found=$(python3 --version 2>/dev/null || echo "no python3")
    echo "elman needs Python 3.11 or newer, and this machine's PATH has $found." >&2
    echo "Install a newer Python, or name one: make setup PYTHON=/path/to/python3.12" >&2
    exit 1
fi

say() { echo "setup: $1"; }

if [ ! -x "$venv/bin/python" ]; then
    say "1 of 3: making a virtual environment in $venv with $("$python" --version)"
    if ! "$python" -m venv "$venv"; then
        rm -rf "$venv"
        echo "$python cannot make a virtual environment; on Debian and Ubuntu, install the package python3-venv." >&2
        exit 1
    fi
fi

say "2 of 3: fetching the packages that constraints.txt names (PyTorch is the large part: a minute or a few)"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PYTHONUNBUFFERED=1
log=$venv/install.log
status=$venv/install.status
# A pipe keeps the last exit code alone, hence the file. Shown are the packages of a megabyte and more.
{
    code=0
    "$venv/bin/python" -m pip install --progress-bar off -c constraints.txt -e '.[dev]' </dev/null 2>&1 || code=$?
    echo "$code" >"$status"
} | tee "$log" | while read -r word rest; do
    case "$word $rest" in
    "Downloading "*" MB)" | "Using cached "*" MB)")
        file=${rest#cached }
        version=${file#*-}
        echo "  ${file%%-*} ${version%%[- ]*} (${file##*(}"
        ;;
    "Installing collected packages"*) say "3 of 3: unpacking them and building elman" ;;
    esac
done
code=$(cat "$status")
rm -f "$status"
if [ "$code" != 0 ]; then
    grep -i error "$log" | head -5 >&2
    echo "the installation failed; all of it is in $log" >&2
    exit 1
fi
# Which kernels an installation has; it is a whole one without them, only slower.
"$venv/bin/python" - <<'END'
from elman.kernels import cpu

if cpu.native is None:
    print("setup: no C++ compiler was found, so the fast kernels were not built: layers run on torch's, more slowly")
else:
    print(f"setup: C++ kernels were built; this machine can run {', '.join(cpu.native.variants())}")
END
say "elman is ready: make demo, or $venv/bin/elman --help"
