#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Matmuls by BLAS, by each family of OpenBLAS's kernels that doctor finds right
# here, on 1 to 4 threads; and NVFP4 by its integer kernels too. One output, to
# the bit. (A second BLAS, that sums backwards: tests/check_matmul_reversed.)
set -eu
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99

PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$top_srcdir/tests/e2e "$PYTHON" - \
    "$work" <<'EOF'
import random
import sys
from array import array

import tensors as T

ROWS, OUTS, K = 40, 160, 4096
draw = random.Random(7667)


def bf16(first, last, *shape):
    """Of both signs, 2^-7 to 2, but for the first and last column: 2^40 and
    -2^40, with all of which float64 sums depend on their order."""
    n = shape[-2] * shape[-1]
    codes = array("H", ((c & 0x83ff) | 0x3c00
                        for c in array("H", draw.randbytes(2 * n))))
    for i in range(0, n, K):
        codes[i], codes[i + K - 1] = first, last
    return "BF16", shape, codes.tobytes()


def codes(*shape):
    n = shape[-2] * shape[-1]
    return "F4", shape, draw.randbytes(n // 2)


def scales(*shape):
    n = shape[-2] * shape[-1]
    return "F8_E4M3", shape, bytes(b & 0x7f if b & 0x7f < 0x7f else 0
                                   for b in draw.randbytes(n))


offset = T.pack("I64", (2,), [0, ROWS])
one = T.pack("F32", (1,), [2.0 ** -20])
T.write(sys.argv[1] + "/bf16", {
    "x": bf16(0x3f80, 0x3f80, ROWS, K), "w": bf16(0x5380, 0xd380, 1, OUTS, K),
    "offset": offset})
T.write(sys.argv[1] + "/nvfp4", {
    "x": codes(ROWS, K), "x.scale": scales(ROWS, K // 16),
    "x.decode_scale": one, "w": codes(1, OUTS, K),
    "w.scale": scales(1, OUTS, K // 16), "w.decode_scale": one,
    "offset": offset})
EOF

multiply() { # FORMAT OUTPUT
    expect 0 timeout 60 "$MOESIM" op grouped-matmul --quiet --from "$1" \
        --to fp32 --in "$work/$1" --out "$work/$2"
}

same() { # A B WHAT
    cmp -s "$work/$1" "$work/$2" && pass "$3" || fail "$3: outputs differ"
}

OPENBLAS_NUM_THREADS=1 multiply bf16 own # no BLAS, where vectors permit
multiply nvfp4 integers
n=0
for core in Haswell SkylakeX Zen Sandybridge Nehalem Core2 Prescott; do
    threads=$((n % 4 + 1))
    export OPENBLAS_CORETYPE=$core OPENBLAS_NUM_THREADS=$threads
    # what doctor asks a child: first its name, then whether it is right
    if timeout 60 "$MOESIM" blascheck >"$work/check" 2>&1 &&
        head -n 1 "$work/check" | grep -qix "$core"; then
        n=$((n + 1))
        MOESIM_KERNEL=blas multiply bf16 floats
        same own floats "$core, $threads threads, bf16"
        MOESIM_KERNEL=blas multiply nvfp4 blas
        same integers blas "$core, $threads threads, nvfp4"
    fi
    unset OPENBLAS_CORETYPE OPENBLAS_NUM_THREADS
done
[ "$n" -gt 0 ] || skip "this BLAS has no kernels to choose from"
finish
