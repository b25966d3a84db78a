#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Experts that lie elsewhere, and more than once: the same bits under every
# method, other traffic, and a balance that EPLB betters.
set -eu
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99
tiny=$top_srcdir/scenarios/tutorial/first.yaml
placed=$work/placed.yaml
sed -e 's/^layout: {dp: 4}/layout: {dp: 4, placement: {kind: eplb, redundant: 4}}/' \
    -e 's/intermediate: 128/intermediate: 256/' "$tiny" >"$placed"

# each method once, libraries' limits lifted, and what Megatron-LM gathers; the
# gate with capacity refuses
methods="methods=[{allgather_reducescatter: {router: map, combine: fp32, label: by-map}}, $("$MOESIM" list methods --json - | "$PYTHON" -c '
import json, sys
print(", ".join("{%s: {%s}}" % (m["name"], "limits: off" if any(
    o["key"] == "limits" for o in m["options"]) else "")
    for m in json.load(sys.stdin)["items"] if m["name"] != "capacity_alltoall"))')]"

# labels and digests of a report
digests() {
    ask "$1/report.json" "'\n'.join(m['label'] + ' ' + m['output_digest']
        for m in r['methods'])"
}

expect 0 "$MOESIM" run "$placed" --quiet --set "$methods" \
    --set layout.placement=linear -o "$work/linear"
digests "$work/linear" >"$work/linear.digests"
i=0
for how in round_robin '{kind: eplb, redundant: 4}'; do
    i=$((i + 1))
    expect 0 "$MOESIM" run "$placed" --quiet --set "$methods" \
        --set "layout.placement=$how" -o "$work/p$i"
    holds "$work/p$i/report.json" \
        "all(m['bit_identical_to_oracle'] for m in r['methods'])"
    digests "$work/p$i" | cmp -s - "$work/linear.digests" &&
        pass "the bits of experts in order: $how" ||
        fail "other bits: $how"
done
holds "$work/p2/report.json" "r['layout']['placement'] == {'kind': 'eplb',
    'redundant': 4, 'slots': 20, 'replicas': 'source',
    'load': 'of the routing'}"

# rounded on the way, the ranks of a sum are others: the oracle knows them
expect 0 "$MOESIM" run "$placed" --quiet --set "$methods" \
    --numerics faithful -o "$work/faithful"
holds "$work/faithful/report.json" \
    "all(m['bit_identical_to_oracle'] for m in r['methods'])"

# a shared expert may be held twice too
expect 0 "$MOESIM" run "$placed" --quiet --method alltoallv,allgatherv \
    --set model.shared_experts=1 --set model.experts=17 --set model.topk=5 \
    --set 'layout.placement={redundant: 3}' -o "$work/shared"
holds "$work/shared/report.json" "len(r['methods']) == 2 and
    all(m['bit_identical_to_oracle'] for m in r['methods'])"

# stamped rows say that each slot gets those that chose its expert
expect 0 "$MOESIM" run "$top_srcdir/scenarios/tutorial/grid.yaml" --quiet --data stamp \
    --set 'layout.placement={kind: eplb, redundant: 4}' -o "$work/stamp"

# zipf: EPLB evens out ranks, its load given or known; payload is the same,
# where rows go to is not
zipf=(--set 'workload.router={sample: zipf, s: 1.1}' --set workload.tokens=64)
price() {
    expect 0 "$MOESIM" price "$tiny" --quiet --method alltoallv "${zipf[@]}" \
        --set "layout.placement=$2" --json "$work/$1.json"
    ask "$work/$1.json" "r['methods'][0]['imbalance']['ranks']" >"$work/$1.ranks"
}
price linear linear
price eplb '{kind: eplb, redundant: 4, replicas: round_robin}'
"$PYTHON" -c 'import sys; a, b = (float(open(f).read()) for f in sys.argv[1:])
sys.exit(not b < 1 + (a - 1) / 2)' "$work/linear.ranks" "$work/eplb.ranks" &&
    pass "EPLB halves the imbalance of ranks" ||
    fail "imbalance $(cat "$work/linear.ranks"), EPLB $(cat "$work/eplb.ranks")"
holds "$work/eplb.json" "r['methods'][0]['pair_bytes'] != __import__('json').load(
    open('$work/linear.json'))['methods'][0]['pair_bytes']"

# EPLB's published layer, by its loads: what the resolved scenario says again
load='[90,132,40,61,104,165,39,4,73,56,183,86]'
expect 0 "$MOESIM" run "$tiny" --set model.experts=12 --set \
    "layout.placement={kind: eplb, redundant: 4, load: $load}" --print-scenario
sed 's/ //g' "$work/stdout" | grep -qF "load:$load" && pass "loads are printed" ||
    fail "loads are not printed"
cp "$work/stdout" "$work/again.yaml"
expect 0 "$MOESIM" run "$work/again.yaml" --print-scenario
cmp -s "$work/stdout" "$work/again.yaml" && pass "and read again" ||
    fail "printed otherwise when read again"

# what cannot be
expect 2 "$MOESIM" run "$tiny" --set layout.placement.redundant=3
says 'layout.placement.redundant: is 3, which makes 19 slots of 16 experts'
expect 2 "$MOESIM" run "$tiny" --set 'layout.placement={load: [1]}'
says 'layout.placement.load: belongs to eplb'
expect 2 "$MOESIM" run "$tiny" --set 'layout.placement={kind: eplb, load: [1]}'
says 'layout.placement.load: has 1 numbers, expected one for each of 16'
expect 2 "$MOESIM" run "$placed" --set \
    'methods=[{tp_allreduce: {layout: {dp: 1, tp: 4, placement: eplb}}}]'
says 'tp_allreduce.layout.placement: belongs to the scenario.s layout'
expect 2 "$MOESIM" run "$placed" --method capacity_alltoall
says 'has no placement of experts'
finish
