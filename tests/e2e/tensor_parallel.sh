#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# vLLM #2293: the all-reduce after the merge over k, or before it, w1 and w3 in
# one matmul or two: in exact one output, carried unrounded over the all-reduce;
# in faithful the oracle's bits in either order.
set -eu
. "$top_srcdir/tests/e2e/lib.sh"
tiny=$top_srcdir/scenarios/tutorial/first.yaml
uses='[{tp_allreduce: {label: after}},
    {tp_allreduce: {w13: separate, label: two}},
    {tp_allreduce: {allreduce: before_merge, label: before}},
    {tp_allreduce: {allreduce: before_merge, w13: separate, combine: fp32,
        combine_order: fp32_rank, label: wide}},
    {tp_allreduce: {allreduce: before_merge, combine: exact, label: none}},
    {tp_allreduce: {allreduce: before_merge, combine_order: ring,
        label: ring}}]'

# on NAME OPTION...: every use has the oracle's bits; w1 and w3 apart change
# nothing
on() {
    local report=$work/$1
    shift
    expect 0 "$MOESIM" run "$tiny" --quiet -o "$report" --ranks 4 \
        --set model.intermediate=256 --set "methods=$uses" "$@"
    holds "$report/report.json" "len(r['methods']) == 6 and
        all(m['bit_identical_to_oracle'] for m in r['methods']) and
        r['methods'][0]['output_digest'] == r['methods'][1]['output_digest']"
}

# outputs NAME N: so many different ones
outputs() {
    holds "$work/$1/report.json" \
        "len({m['output_digest'] for m in r['methods']}) == $2"
}

on exact
outputs exact 1
on unrounded --set precision.gemm1_out=exact --set precision.gemm2_out=exact
outputs unrounded 1
on faithful --numerics faithful
holds "$work/faithful/report.json" "len({m['output_digest']
    for m in r['methods'] if m['label'] in ('after', 'before', 'ring')}) == 3"
on biases --numerics faithful --set model.expert_bias=true --set \
    'precision={expert_in: bf16, weights: bf16, gemm2_in: bf16}' \
    --set model.hidden=64 --set 'workload.tokens={total: 1}'
on one_expert --set model.topk=1 --set model.weight_on_input=true \
    --numerics faithful

# k = 2: after the merge half the bytes, of payload and of the wire
expect 0 "$MOESIM" price "$tiny" --quiet --ranks 4 \
    --set model.intermediate=256 --set model.topk=2 --set "methods=$uses" \
    --json "$work/half.json"
holds "$work/half.json" "all([sum(m[x]) / sum(r['methods'][0][x])
    for m in r['methods'][:4]] == [1, 1, 2, 4]
    for x in ('payload_bytes', 'wire_sent_bytes'))"

finish
