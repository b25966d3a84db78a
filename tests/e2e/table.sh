#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The table of methods, executed: the oracle's bits, one digest for each class
# of formats, and the payload of meta and of the formula: a run fails where a
# rank's is another. A sample of it; with `all` the whole.
set -eu
. "$top_srcdir/tests/e2e/lib.sh"
layer=$top_srcdir/tests/fixtures/scenario/table.yaml
methods="methods=$("$MOESIM" list methods --json - |
    "$PYTHON" "$top_srcdir/tests/e2e/table_uses.py")"

# tokens PATTERN RANKS: a list by rank
tokens() {
    "$PYTHON" -c '
import sys
how, n = sys.argv[1], int(sys.argv[2])
rows = {"equal": [2] * n, "ragged": [(3 * r + 1) % 4 for r in range(n)],
        "one_zero": [0 if r == n // 2 else 1 + r % 2 for r in range(n)],
        "only_one": [3 if r == n - 1 else 0 for r in range(n)],
        "none": [0] * n}
print(rows[how])' "$@"
}

# point RANKS PATTERN ROUTER: bf16 rows quantised where they arrive are nvfp4
# rows, so these two formats are one class; every other is its own
point() {
    expect 0 "$MOESIM" run "$layer" --quiet -o "$work/$1.$2.$3" \
        --set "$methods" --set "layout={dp: $1, tp: 1, ep: $1}" \
        --set "workload.tokens=$(tokens "$2" "$1")" \
        --set "workload.router={sample: $3}"
    holds "$work/$1.$2.$3/report.json" "(sum(r['tokens']) == 0 or
        all(m['bit_identical_to_oracle'] for m in r['methods'])) and
        all('refused' not in m for m in r['methods'])"
    holds "$work/$1.$2.$3/report.json" "all(len({m['output_digest']
        for m in r['methods'] if m['options'].get('dispatch', 'bf16') in f and
        m['options'].get('combine', 'bf16') in ('bf16', 'fp16', 'fp32')})
        <= 1 for f in [('bf16', 'nvfp4')] + [(m['options']['dispatch'],)
        for m in r['methods'] if 'dispatch' in m['options']])"
    rm -rf "$work/$1.$2.$3"
}

if [ "${1:-}" != all ]; then
    point 2 one_zero zipf
    point 3 ragged skip_expert
    point 8 only_one one_expert
    finish
    exit
fi
for ranks in 1 2 3 4 8; do
    for pattern in equal ragged one_zero only_one none; do
        for router in uniform zipf one_expert skip_expert; do
            point "$ranks" "$pattern" "$router"
        done
    done
done
finish
