#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Data that are exact by construction, through every method with every dispatch
# format: one output, the oracle's; and poisoned memory changes nothing.
set -eu
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99
grid=$top_srcdir/scenarios/tutorial/grid.yaml

# digests NAME OPTION...: run every method, keep the digests of outputs
digests() {
    local name=$1
    shift
    expect 0 "$MOESIM" run "$grid" --quiet -o "$work/$name" "$@"
    holds "$work/$name/report.json" "all(m['bit_identical_to_oracle']
        for m in r['methods'] if 'refused' not in m)"
    ask "$work/$name/report.json" "[m['output_digest'] for m in r['methods']
        if 'refused' not in m]" >"$work/$name.digests"
}

for kind in grid stamp identity; do
    for how in exact $(some "$([ $kind = grid ] && echo faithful)" faithful); do
        digests "$kind.$how" --data "$kind" --numerics "$how"
        cmp -s "$work/$kind.exact.digests" "$work/$kind.$how.digests" &&
            pass "$kind: $how is exact" || fail "$kind: $how differs"
        ask "$work/$kind.$how/report.json" "len({m['output_digest']
            for m in r['methods'] if 'refused' not in m and
            m['name'] != 'dummy'})" >"$work/n" # which computes nothing
        [ "$(cat "$work/n")" = 1 ] && pass "$kind, $how: one output" ||
            fail "$kind, $how: $(cat "$work/n") outputs"
    done
done
for layout in '{dp: 4}' '{dp: 1, tp: 4, ep: 1}'; do
    for poison in true false; do
        rm -rf "$work/poison.$poison"
        digests "poison.$poison" --data normal --poison "$poison" \
            --set "layout=$layout" --set 'workload.tokens={total: 16}'
    done
    cmp -s "$work/poison.true.digests" "$work/poison.false.digests" &&
        pass "poison changes nothing: $layout" ||
        fail "poison changes outputs: $layout"
done

# What cannot be proved is refused, with place and reason
expect 2 "$MOESIM" run "$grid" --set model.hidden=65536
says 'workload.data: grid cannot be exact here: router sums'
expect 2 "$MOESIM" run "$grid" --set \
    'precision.expert_in={format: nvfp4, global_scale: 3}' --method allgatherv
says 'allgatherv cannot run here: these data are not exact: expert_in'
finish
