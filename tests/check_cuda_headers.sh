#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# libmoeref's conversions against the host code of CUDA's headers, where they
# are and a C++ compiler is: $CUDA_HOME, /usr/local/cuda, or those of the
# Python package nvidia-cuda-runtime. A stride of the floats; in make
# check-full all of them.
set -u
: "${top_srcdir:?}" "${top_builddir:?}"
cxx=${CXX:-g++}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

skip() {
    echo "skipped: $*"
    exit 77
}

find_headers() {
    local folder
    local -a packaged
    mapfile -t packaged < <("${PYTHON:-python3}" -c '
import sys
for place in sys.path:
    print(place + "/nvidia/cu13/include")
    print(place + "/nvidia/cuda_runtime/include")')
    for folder in "${CUDA_HOME:+$CUDA_HOME/include}" \
        /usr/local/cuda/include /usr/include "${packaged[@]}"; do
        if [ -n "$folder" ] && [ -e "$folder/cuda_fp4.h" ]; then
            echo "$folder"
            return 0
        fi
    done
    return 1
}

so=$top_builddir/.libs/libmoeref.so
[ -e "$so" ] || skip "no shared libmoeref in this build"
objdump -p "$so" | grep -q 'NEEDED.*lib[au]*san' &&
    skip "sanitizers in libmoeref: judged in a build without"
include=$(find_headers) || skip "no cuda_fp4.h (CUDA 12.8 or later) here"
command -v "$cxx" >/dev/null || skip "no C++ compiler $cxx"

stride=4099
[ "${MOESIM_FULL:-0}" = 1 ] && stride=1
echo "headers in $include, every ${stride}th float"
"$cxx" -std=c++17 -O2 -w -pthread -I"$top_srcdir" -isystem "$include" \
    "$top_srcdir/tests/cuda_elements.cc" -o "$work/judge" "$so" || exit 1
LD_LIBRARY_PATH=$top_builddir/.libs:${LD_LIBRARY_PATH:-} "$work/judge" $stride
