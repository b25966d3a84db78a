#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# How far methods are from each other, against the outputs themselves, which
# runs of one method each leave as golden tensors.
set -eu
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99
first=$top_srcdir/scenarios/tutorial/first.yaml

# sums rounded once, by rank, and by rank in a layout of one dp rank; tokens for
# more than one piece of 16 KiB, one cut between ranks
tokens='workload.tokens=[20,3,0,17]'
names="home ranks one"
declare -A use=(
    [home]='{alltoallv: {label: home}}'
    [ranks]='{pad_allreduce: {label: ranks}}'
    [one]='{ascend_allgather: {label: one, layout: {dp: 1, tp: 4, ep: 4}}}')
for name in $names; do
    expect 0 "$MOESIM" run "$first" --numerics faithful --golden --quiet \
        --set "methods=[${use[$name]}]" --set "$tokens" -o "$work/$name"
done

# the same outputs, whoever has the rows of the method that others are held to
for order in "home ranks one" "one home ranks"; do
    list='{dummy: {label: nothing}}'
    for name in $order; do
        list="$list,${use[$name]}"
    done
    expect 0 "$MOESIM" run "$first" --numerics faithful --json - \
        --set "methods=[$list]" --set "$tokens" -o "$work/from-${order%% *}"
    cp "$work/stdout" "$work/report.json"
    expect 0 "$PYTHON" "$top_srcdir/tests/e2e/method_differences.py" \
        "$work/report.json" "$work" "$order"
done
holds "$work/from-one/report.json" "sorted(m['label'] for m in r['methods']
    if m['to_first'] and m['to_first']['elements_differing'] > 0) == ['home']"
grep -q '^| home | one | 10240 | [1-9][0-9]* | [1-9]' \
    "$work/from-one/report.md" && pass "report.md has it" ||
    fail "$(grep -A 6 'between methods' "$work/from-one/report.md")"

# vLLM's second matmul weighs fp32 sums, whatever the rows' format; others do not
for format in bf16 fp32; do
    expect 0 "$MOESIM" run "$first" --numerics faithful --quiet \
        --set "precision.gemm2_out=$format" --set "$tokens" \
        --set 'methods=[allgather_reducescatter,naive_multicast,allgatherv]' \
        -o "$work/rows-$format"
done
"$PYTHON" - "$work" <<'E' && pass "vLLM's terms are of fp32 sums" || fail "$work"
import json, sys
bf16, fp32 = ([m["output_digest"] for m in json.load(open(
    f"{sys.argv[1]}/rows-{f}/report.json"))["methods"]] for f in
    ("bf16", "fp32"))
sys.exit([a == b for a, b in zip(bf16, fp32)] != [True, True, False])
E

# one line of the terminal for each but the first, in faithful alone
expect 0 "$MOESIM" run "$first" --numerics faithful -o "$work/told" \
    --set "methods=[${use[ranks]},${use[home]}]"
[ "$(grep -c '^home: from ranks: .* ulp, ' "$work/stdout")" -eq 1 ] &&
    pass "the terminal has it" || fail "$(cat "$work/stdout")"

# exact: the same bits are no difference, another format is one; no tokens,
# nothing to compare
expect 0 "$MOESIM" run "$first" --quiet -o "$work/exact" --set \
    "methods=[${use[ranks]},${use[home]},{allgatherv: {dispatch: fp8}}]"
holds "$work/exact/report.json" \
    "r['methods'][0]['to_first'] is None and
    r['methods'][1]['to_first'] == {'method': 'ranks', 'max_ulp': 0,
        'elements_compared': 16 * 256, 'elements_differing': 0,
        'relative_l2': 0.0} and r['methods'][2]['to_first']['max_ulp'] > 0"
expect 0 "$MOESIM" run "$first" --quiet -o "$work/none" \
    --set "methods=[${use[ranks]},${use[home]}]" \
    --set 'workload.tokens=[0,0,0,0]'
holds "$work/none/report.json" \
    "all(m['to_first'] is None for m in r['methods'])"
finish
