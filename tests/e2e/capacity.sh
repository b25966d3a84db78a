#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Gates with capacity through `moesim run`: DeepSpeed's published masks, its
# singleton fast path in the ledger (#7997), unequal local tokens with dropping
# (#6809), and every policy and rule against the gating oracle.
set -eu
. "$top_srcdir/tests/e2e/lib.sh"
tiny=$top_srcdir/scenarios/tutorial/first.yaml
seeds=$top_srcdir/scenarios/seeds

# DeepSpeed's published vectors: kept tokens, rows, weights, auxiliary loss
for name in deepspeed-gating deepspeed-gating-k3 deepspeed-gating-keep; do
    expect 0 "$MOESIM" run "$seeds/$name.yaml" --quiet -o "$work/$name"
    expect 0 "$PYTHON" "$top_srcdir/tests/e2e/gating_vectors.py" $name \
        "$work/$name/report.json"
done
report=$work/deepspeed-gating/report.json
# a gap of 0.1 is 0.524979 to 0.475021; none: as many rows as the fullest has
holds "$report" "all(abs(m['gating']['aux_loss'][0] - 1.0334199) < 2e-7 and
    m['gating']['mismatching'] == 0 for m in r['methods'])"
holds "$report" "[m['gating']['capacity'] for m in r['methods']] == [2, 2, 3]
    and [m['gating']['dropped'] for m in r['methods']] == [[1], [1], [0]]"
holds "$report" "all(abs(p['weight'] - w) < 1e-6 for p, w in
    zip(r['methods'][1]['gating']['pairs'],
        [.524979, .475021] * 3 + [1.0]))"

# calls USE RANKS: the operations of the ledger, of rank 0, in order
calls() {
    expect 0 "$MOESIM" run "$tiny" --ranks "$2" --quiet --force \
        -o "$work/calls" --set "methods=[{capacity_alltoall: {$1}}]"
    "$PYTHON" -c '
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
print(" ".join(c.get("agree", c["op"]) for c in lines if c["rank"] == 0))' \
        "$work/calls/ledger.jsonl" >"$work/made"
}

# made WORDS: these calls and no other
made() {
    [ "$(cat "$work/made")" = "$1" ] && pass "calls: ${1:-none}" ||
        fail "calls are '$(cat "$work/made")', expected '$1'"
}

calls 'singleton_fast_path: on' 1
made ''
calls 'singleton_fast_path: off' 1
made 'allreduce_max alltoall alltoall'
calls 'singleton_fast_path: off, expert_group: missing' 1
made 'alltoall alltoall'
calls 'singleton_fast_path: on' 2
made 'allreduce_max alltoall alltoall'
calls 'drop: position' 2
made 'alltoall alltoall'
expect 2 "$MOESIM" run "$tiny" --ranks 2 --quiet -o "$work/no" \
    --set 'methods=[{capacity_alltoall: {expert_group: missing}}]'
says 'capacity_alltoall cannot run here: .*is not a group of one'

# capacities of unequal local tokens differ: refused by name, nothing hangs;
# where the least capacity makes them equal, the method runs
expect 2 "$MOESIM" run "$tiny" --quiet -o "$work/no" \
    --set 'methods=[{capacity_alltoall: {drop: position, min_capacity: 1}}]'
says 'needs the same capacity on all ranks: .*DeepSpeed #6809'
expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/least" \
    --set 'methods=[{capacity_alltoall: {drop: position, min_capacity: 4}}]'

# whose rule it is says how few rows an expert has: DeepSpeed 4, so that these
# tokens have equal capacities, the others as many as the factor gives
for rule in megatron tutel; do
    expect 2 "$MOESIM" run "$tiny" --quiet -o "$work/no" --set \
        "methods=[{capacity_alltoall: {drop: position, capacity: $rule}}]"
    says 'needs the same capacity on all ranks'
done
expect 2 "$MOESIM" run "$tiny" --quiet -o "$work/no" --set model.topk=1 \
    --set model.topk_group=1 --set model.renormalize=false --set 'methods=[capacity_alltoall]'
says 'needs min_capacity tokens on each rank'
expect 2 "$MOESIM" run "$tiny" --quiet -o "$work/no" --set model.topk=1 \
    --set model.topk_group=1 --set model.renormalize=false \
    --set 'workload.tokens=[9,4,5,40]' --set 'methods=[capacity_alltoall]'
says 'needs equally many tokens on all ranks: without drops'
# the least capacity, which of top-1's gates DeepSpeed's own alone looks at
# where nothing is dropped
for gate in 'capacity: tutel' 'capacity: megatron' 'gate: topk'; do
    expect 2 "$MOESIM" run "$tiny" --quiet -o "$work/no" --set model.topk=1 \
        --set model.topk_group=1 \
        --set "methods=[{capacity_alltoall: {$gate, min_capacity: 7}}]"
    says 'min_capacity: does nothing with drop: none'
done

# policy RANKS K USES...: pairs are dropped, the oracle has the same
policy() {
    local ranks=$1 k=$2 name
    shift 2
    name=$(printf '%s-%s-%s' "$ranks" "$k" "$(echo "$*" | cksum | cut -c1-5)")
    expect 0 "$MOESIM" run "$tiny" --ranks "$ranks" --quiet -o "$work/$name" \
        --set "model.topk=$k" --set "model.n_group=1" \
        --set "model.topk_group=1" --set "model.score=softmax" \
        --set "model.bias=false" --set "model.routed_scaling=1" \
        --set "model.renormalize=${renormalize:-true}" \
        --set "workload.tokens=24" \
        --set "methods=[$(printf '{capacity_alltoall: {%s}},' "$@")]"
    holds "$work/$name/report.json" "len(r['methods']) == $# and
        all(m['bit_identical_to_oracle'] and m['gating']['mismatching'] == 0 and
            sum(m['gating']['dropped']) > 0 and sum(m['gating']['kept']) +
            sum(m['gating']['dropped']) == r['tokens_total'] * $k and
            len(m['gating']['kept']) == $ranks for m in r['methods'])"
}
tight='capacity_factor: 0.5, min_capacity: 1'
renormalize=false policy 2 1 "drop: position, $tight" "drop: random, $tight"
policy 2 1 "drop: probs, gate: topk, $tight" \
    "drop: probs, capacity: megatron, $tight"
expect 2 "$MOESIM" run "$tiny" --quiet -o "$work/no" \
    --set model.renormalize=false --set 'methods=[capacity_alltoall]'
says 'has weights by DeepSpeed.s rule: .* the others true'
policy 4 2 "drop: position, $tight" "drop: probs, gate: topk, $tight" \
    "drop: position, capacity: tutel, capacity_factor: 0.75, min_capacity: 1" \
    "drop: position, capacity: tutel, capacity_factor: -0.5, min_capacity: 1" \
    "drop: position, $tight, combine_path: dense"
policy 4 4 "drop: position, $tight" "drop: probs, $tight" \
    "drop: position, capacity: megatron, $tight, dispatch: nvfp4"

# a router that is imposed, or has no softmax: weights are the scores
expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/zipf" \
    --set 'workload.tokens=24' --set 'workload.router={sample: zipf, s: 2}' \
    --set "methods=[{capacity_alltoall: {drop: probs, $tight}},
        {capacity_alltoall: {drop: position, $tight}}]" --numerics faithful
holds "$work/zipf/report.json" "all(m['bit_identical_to_oracle'] and
    m['gating']['mismatching'] == 0 and sum(m['gating']['dropped']) > 0
    for m in r['methods'])"

# nothing dropped: the bits of the other methods; the einsum's weights are
# rounded, which is a class of its own
expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/class" --set 'methods=[
    alltoallv, capacity_alltoall, {capacity_alltoall: {capacity: megatron}},
    {capacity_alltoall: {combine_path: dense}}]'
holds "$work/class/report.json" "[m['identical_to'] for m in r['methods']] ==
    [None, 'alltoallv', 'alltoallv', None]"

# rounded on the way home, of what the experts did not round; parts of I alike
expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/faithful" \
    --numerics faithful --set model.intermediate=256 \
    --set precision.gemm2_out=exact \
    --set 'methods=[capacity_alltoall, tp_allreduce]'
holds "$work/faithful/report.json" "len(r['methods']) == 2 and
    all(m['bit_identical_to_oracle'] for m in r['methods'])"
# MegaBlocks' bins: all rows travel, at most int(f k T_i R / E) of an expert are
# computed. All tokens of 4 ranks to one expert of 16: 24 rows for it, f 1 a bin
# of one, also on the other ranks. Tutel's factor below 0: with room for all,
# the fullest expert's rows, which ranks agree on as where nothing is dropped
bins='{alltoallv: {expert_block: bin, capacity_factor: '
tutel='{capacity_alltoall: {capacity: tutel'
expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/bins" \
    --set 'workload.tokens=[6,6,6,6]' --set "methods=[alltoallv,
    ${bins}0}}, ${bins}1, label: f1}}, ${bins}0.3, label: f03}}, $tutel}},
    $tutel, drop: position, capacity_factor: -9, label: all}},
    $tutel, drop: position, capacity_factor: -0.5, min_capacity: 1,
    label: some}}]" --set model.topk=1 \
    --set 'workload.router={sample: one_expert}'
holds "$work/bins/report.json" "[len({(m['output_digest'],
    str(m['payload_bytes'])) for m in r['methods'][a:b]}) for a, b in
    ((0, 2), (1, 3), (4, 6), (5, 7))] == [1, 2, 1, 2] and
    all(m['bit_identical_to_oracle'] for m in r['methods']) and
    len({str(m['payload_bytes']) for m in r['methods'][:4]}) == 1"
holds "$work/bins/report.json" "[sorted(m[k]) for m in r['methods'][1:4] for k in
    ('left_out_rows', 'padded_rows')] == [[0, 0, 0, 0], [0, 0, 0, 72],
    [0, 0, 0, 23], [3, 4, 4, 4], [0, 0, 0, 0], [0, 0, 0, 72]]"
holds "$work/bins/report.json" "[(m['gating']['capacity'], m['gating']['dropped'],
    m['by_stage']['prepare']['payload_bytes']) for m in r['methods'][4:]] ==
    [(n, [6 - n] * 4, [8] * 4) for n in (6, 6, 1)]"
expect 2 "$MOESIM" run "$tiny" --set "methods=[${bins}1}},
    {capacity_alltoall: {drop: position, capacity_factor: -1}}]" \
    --set 'layout={dp: 2, tp: 2, ep: 4}' --set 'workload.tokens=[6,6]' \
    -o "$work/no"
says 'needs tp = 1, experts in order and no shared_experts'

# Megatron-LM, recent: weights travel, 4 bytes a pair or slot, and weigh what the
# activation gives: a class of its own; older: rows are added by expert, Tutel's
# in their own type by choice
expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/weigh" --set 'methods=[
    {alltoallv: {weigh: activation}},
    {allgather_reducescatter: {weigh: activation, router: map, combine: fp32}},
    {capacity_alltoall: {weigh: activation, capacity: megatron}}, alltoallv]'
holds "$work/weigh/report.json" "[m['identical_to'] for m in r['methods']] ==
    [None] + ['alltoallv-activation'] * 2 + [None] and
    all(m['bit_identical_to_oracle'] for m in r['methods'])"
holds "$work/weigh/report.json" "[a - b for a, b in zip(
    r['methods'][0]['payload_bytes'], r['methods'][3]['payload_bytes'])] ==
    [4 * 4 * n for n in (5, 3, 0, 8)]"
expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/orders" --numerics faithful \
    --set 'methods=[{capacity_alltoall: {capacity: megatron}},
    {alltoallv: {sum_order: fp32_expert}}, {capacity_alltoall: {capacity: tutel}},
    capacity_alltoall, alltoallv, {alltoallv: {weigh: activation}}]'
holds "$work/orders/report.json" "all(m['bit_identical_to_oracle']
    for m in r['methods']) and [len({m['output_digest'] for m in r['methods'][a:b]})
    for a, b in ((0, 2), (3, 5), (0, 6))] == [1, 1, 3]"
expect 2 "$MOESIM" golden "$tiny" -o "$work/no" \
    --set 'methods=[{alltoallv: {weigh: activation}}]'
says 'golden: knows weights on .* expected alltoallv without weigh: activation'
finish
