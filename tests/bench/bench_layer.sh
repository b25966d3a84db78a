#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A DeepSeek-R1 layer of true size, 512 tokens, 8 ranks, one method, exact, by
# each kernel that the processor has: seconds of the method, memory of all ranks.
set -eu
moesim=${MOESIM:-./moesim}
work=$(mktemp -d "${TMPDIR:-/tmp}/moesim-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT

for kernel in amx vnni avx2 blas; do
    if ! MOESIM_KERNEL=$kernel "$moesim" run sglang-7667 --quiet \
        --method allgatherv -o "$work/$kernel" 2>"$work/stderr"; then
        grep -q 'no matmul kernel' "$work/stderr" || cat "$work/stderr" >&2
        echo "$kernel: not here"
        continue
    fi
    "${PYTHON:-python3}" - "$kernel" "$work/$kernel/report.json" <<'END'
import json, sys
report = json.load(open(sys.argv[2]))
method, = report["methods"]
print("%-5s %.1f s by the clock, %.1f s of CPU a rank at most, %d MiB, %s" % (
    sys.argv[1], method["wall_s"], method["cpu_s"],
    report["peak_rss_bytes"] >> 20,
    "bit-identical to the oracle" if method["bit_identical_to_oracle"]
    else "NOT the oracle's"))
END
done
