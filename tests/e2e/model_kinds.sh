#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Kinds of models, small, under every method: gpt-oss (router bias in the
# logits, biases of experts, interleaved clamped SwiGLU) and Llama-4 (top-1,
# the weight on the expert's input), experts that are placed: the oracle's bits.
set -eu
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99
tiny=$top_srcdir/scenarios/tutorial/first.yaml
oss=(--set model.score=softmax_chosen --set model.n_group=1
    --set model.topk_group=1 --set model.renormalize=false
    --set model.routed_scaling=1 --set model.expert_bias=true
    --set model.activation=swiglu_oai --set model.gate_up=interleaved)
llama=(--set model.score=sigmoid --set model.n_group=1
    --set model.topk_group=1 --set model.bias=false --set model.topk=1
    --set model.renormalize=false --set model.routed_scaling=1
    --set model.weight_on_input=true)

# an entry that ran, not one whose method refuses the model
ran="('output_digest' in m)"

# judge NAME ARGUMENT...: every method in exact and in faithful, at the
# oracle's bits; in exact those with nothing rounded on the way agree
judge() {
    local name=$1
    shift
    for numerics in exact faithful; do
        expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/$name-$numerics" \
            --numerics "$numerics" --set methods=all "$@"
        holds "$work/$name-$numerics/report.json" "sum($ran for m in r['methods']) >= 6 and
            all(m['bit_identical_to_oracle'] for m in r['methods'] if $ran)"
    done
    holds "$work/$name-exact/report.json" "len({m['output_digest']
        for m in r['methods'] if $ran and m['name'] != 'dummy' and
        m['options'].get('dispatch', 'bf16') == 'bf16'}) == 1"
}

judge oss "${oss[@]}" --set model.intermediate=256
judge llama "${llama[@]}" --set model.intermediate=256
judge placed --set 'layout.placement={kind: eplb, redundant: 4}'
judge "placed in turn" --set model.shared_experts=1 --set model.experts=17 \
    --set 'layout.placement={kind: round_robin, redundant: 7,
        replicas: round_robin}' --set model.topk=5
for weights in bf16; do
    judge "oss-$weights" "${oss[@]}" --set model.intermediate=256 \
        --set precision.weights="$weights" --set precision.expert_in=bf16 \
        --set precision.gemm2_in=bf16
done

# each key changes the bits: it is not merely accepted
digest() {
    expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/$1" \
        --set methods=[allgatherv] "${@:2}"
    ask "$work/$1/report.json" "r['methods'][0]['output_digest']"
}
[ "$(digest biased "${oss[@]}")" != \
    "$(digest plain "${oss[@]}" --set model.expert_bias=false)" ] &&
    pass "expert_bias counts" || fail "expert_bias changes nothing"
[ "$(digest in "${llama[@]}")" != \
    "$(digest out "${llama[@]}" --set model.weight_on_input=false)" ] &&
    pass "weight_on_input counts" || fail "weight_on_input changes nothing"

# what does not go together is refused where it stands
expect 2 "$MOESIM" run "$tiny" "${llama[@]}" --set model.topk=2 \
    -o "$work/refused"
says 'weight_on_input: is true with topk = 2'
for gate in model.activation=gelu model.gate_up=interleaved \
    model.expert_bias=true; do
    expect 2 "$MOESIM" run "$tiny" --set "$gate" \
        --set precision.gemm1_out=exact -o "$work/refused"
    says 'gemm1_out: is exact, expected'
done
expect 2 "$MOESIM" run "$tiny" --set model.expert_bias=true \
    --set precision.gemm2_out=exact -o "$work/refused"
says 'gemm2_out: is exact, expected'
finish
