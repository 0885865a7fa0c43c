#!/bin/sh
# Build the kernels with the address and undefined behaviour sanitizers, and run their tests: sanitize.sh PYTHON [FOLDER]
set -eu
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
folder=${2:-build/sanitize}

cmake -S . -B "$folder" -DELMAN_SANITIZE=ON -DPython_EXECUTABLE="$python" >/dev/null
cmake --build "$folder" --parallel 2
native=$(ls "$folder"/_native*.so)

# Python itself is built without them, so their libraries come first; it leaks by design.
LD_PRELOAD="$(${CXX:-c++} -print-file-name=libasan.so) $(${CXX:-c++} -print-file-name=libubsan.so)"
export LD_PRELOAD ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1
export OMP_NUM_THREADS=1 PYTHONMALLOC=malloc

echo "sanitize: a planted overflow must be found"
log=$folder/planted.log
if "$python" scripts/plant_overflow.py "$native" >"$log" 2>&1 || ! grep -m 1 "ERROR: AddressSanitizer" "$log"; then
    tail -5 "$log"
    echo "sanitize: the planted overflow was not found"
    exit 1
fi
echo "sanitize: the tests of the kernels"
"$python" scripts/test_kernels.py "$native" -q -p no:cacheprovider tests/laws/test_cpu_kernels.py tests/laws/test_reading_tokens.py \
    tests/test_step.py tests/test_rounded.py
echo "sanitize: nothing found but what was planted"
