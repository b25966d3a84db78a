# SPDX-License-Identifier: Apache-2.0
# Every format that a place of `precision` names runs there: the oracle's bits,
# and the same bits on 1, 2 and 4 ranks and by every method that sends it.
# golden, check and price take them too.
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99

cat >"$work/in.yaml" <<'END'
moesim: 1
name: formats
model: {name: tiny, source: "test", hidden: 128, intermediate: 128, experts: 8, topk: 2, score: sigmoid, renormalize: true, layers: 1, moe_layers: 1}
machine: dgx-b200
layout: {dp: 4}
workload: {tokens: [2, 1, 0, 3]}
methods: [allgatherv]
seed: 7
END

# chain ROWS WEIGHTS: settings of both matmuls
chain() {
    echo "--set precision.expert_in=$1 --set precision.gemm2_in=$1" \
        "--set precision.weights=$2"
}

# all_ranks NAME METHODS SETTING...: runs on 1, 2 and 4 ranks; in `exact` what
# a dispatch format makes is one set of bits
all_ranks() {
    local name=$1 methods=$2 ranks
    shift 2
    rm -f "$work/digests"
    for ranks in $(some "1 4" "1 2 4"); do
        expect 0 "$MOESIM" run "$work/in.yaml" --ranks "$ranks" --quiet \
            --force -o "$work/out" --set "methods=[$methods]" "$@"
        holds "$work/out/report.json" \
            "all(m['bit_identical_to_oracle'] for m in r['methods'])"
        ask "$work/out/report.json" "'\n'.join(
            m['options']['dispatch'] + ' ' + m['output_digest']
            for m in r['methods'])" >>"$work/digests"
    done
    [ "$(cut -d' ' -f1 "$work/digests" | sort -u | wc -l)" -eq \
        "$(sort -u "$work/digests" | wc -l)" ] &&
        pass "$name: the same bits" || fail "$name: $(cat "$work/digests")"
}

# words KEY: the formats that a place takes, which it tells who asks for more
words() {
    "$MOESIM" run "$work/in.yaml" --set "precision.$1=logfmt10" \
        -o "$work/none" 2>&1 | sed -n 's/.*not supported here, expected: //p'
}
rows=$(words expert_in)
drawn=$(words weights)
[ "$(wc -w <<<"$rows")" -ge 13 ] && [ "$(words gemm2_in)" = "$rows" ] &&
    [ "$(wc -w <<<"$drawn")" -ge 13 ] && pass "formats of the places" ||
    fail "formats of the places: $rows; $(words gemm2_in); $drawn"

# by every method that sends it
sent() {
    local methods= m
    for m in allgatherv alltoallv allgather_reducescatter; do
        methods="$methods{$m: {dispatch: $1}},"
    done
    echo "${methods%,}"
}
all_ranks mxfp8_e5m2 "$(sent mxfp8_e5m2)" $(chain mxfp8_e5m2 mxfp8_e5m2)
all_ranks fp8_tensor "$(sent fp8_tensor)" $(chain fp8_tensor fp8_tensor)
all_ranks fp8_1x128_ue8m0 "{allgatherv: {dispatch: fp8_1x128_ue8m0}},
    {deepep_ll: {dispatch: fp8_1x128_ue8m0, limits: off}}" \
    $(chain fp8_1x128_ue8m0 fp8_1x128_ue8m0)
all_ranks int8_1x8 allgatherv $(chain int8_1x8 int8_1x8)
all_ranks fp32 allgatherv $(chain fp32 fp8_tensor)
all_ranks fp16 allgatherv $(chain fp16 fp16)
# parts of the intermediate size: W2 is drawn by columns
for format in $(some "mxfp8_e5m2 fp8_tensor fp32 int8_token" "$rows"); do
    case $format in fp8_1x128*) continue ;; esac # no whole blocks in a part
    expect 0 "$MOESIM" run "$work/in.yaml" --ranks 2 --quiet --force \
        -o "$work/out" $(chain $format $format) --numerics faithful \
        --set 'methods=[{tp_allreduce: {layout: {dp: 1, tp: 2, ep: 1}}}]'
    holds "$work/out/report.json" "r['methods'][0]['bit_identical_to_oracle']"
done

# each place alone, and the exact data of a grid
for format in $rows; do
    weights=bf16
    case $format in nvfp4) weights=nvfp4 ;; fp8_1x128) weights=$format ;; esac
    expect 0 "$MOESIM" run "$work/in.yaml" --ranks 1 --quiet --force \
        -o "$work/out" $(chain "$format" $weights) --numerics faithful
    holds "$work/out/report.json" "r['methods'][0]['bit_identical_to_oracle']"
done
for format in $drawn; do
    [ "$format" != nvfp4 ] || continue # its rows are NVFP4's
    expect 0 "$MOESIM" run "$work/in.yaml" --ranks 1 --quiet --force \
        -o "$work/out" $(chain fp8_token "$format") --set model.expert_bias=true
    holds "$work/out/report.json" "r['methods'][0]['bit_identical_to_oracle']"
done
for format in mxfp8_e5m2 fp8_tensor fp8_1x128_ue8m0 fp16 fp32; do
    sent=$format # hidden states are bf16: no wire has wider ones
    case $format in fp16 | fp32) sent=bf16 ;; esac
    expect 0 "$MOESIM" run "$work/in.yaml" --ranks 1 --quiet --force \
        -o "$work/out" $(chain $format $format) --set workload.data=grid
    holds "$work/out/report.json" "r['methods'][0]['bit_identical_to_oracle']"
    expect 0 "$MOESIM" golden "$work/in.yaml" --ranks 2 --weights local \
        -o "$work/g-$format" $(chain $format $format) \
        --set "methods=[{allgatherv: {dispatch: $sent}}]" \
        --set model.expert_bias=true
    expect 0 "$MOESIM" check "$work/g-$format" "$work/g-$format" \
        --json "$work/check.json"
    holds "$work/check.json" "r['status'] == 'good'"
    "$PYTHON" "$top_srcdir/tests/e2e/format_judge.py" "$work/g-$format" \
        "$format" "$work" && pass "golden $format" || fail "golden $format"
    "$PYTHON" "$top_srcdir/tests/e2e/golden_bounds.py" "$work/g-$format" &&
        pass "bounds of $format" || fail "bounds of $format"
    expect 0 "$MOESIM" price "$work/in.yaml" $(chain $format $format) \
        --set "methods=[{allgatherv: {dispatch: $sent}}]"
done
# a global scale where there is one, and nowhere else
place='--set precision.weights=fp8_tensor --set precision.expert_in'
expect 0 "$MOESIM" run "$work/in.yaml" --quiet --force -o "$work/out" \
    $place='{format: fp8_tensor, global_scale: 100}' \
    --set precision.gemm2_in=fp8_tensor
holds "$work/out/report.json" "r['methods'][0]['bit_identical_to_oracle']"
expect 2 "$MOESIM" run "$work/in.yaml" --quiet -o "$work/none" \
    $place='{format: mxfp8_e5m2, global_scale: 100}'
says "precision.expert_in.global_scale: is none of mxfp8_e5m2's"
finish
