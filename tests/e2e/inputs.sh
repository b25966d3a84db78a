#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Hidden states, gate weights and router traces from safetensors files, and
# sampled routers: the same bits on any number of ranks, equal to the oracle.
set -eu
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99
tiny=$top_srcdir/scenarios/tutorial/first.yaml
"$PYTHON" "$top_srcdir/tests/e2e/make_inputs.py" "$work"
scale='global_scale: 600.5'
files="workload.data={hidden: $work/hidden.safetensors,
    gate: $work/gate.safetensors}"
nvfp4="[{allgatherv: {dispatch: nvfp4}}, pad_allreduce]"

# same NAME OPTION...: 1, 3 and 8 ranks agree with each other and the oracle
same() {
    local name=$1 ranks
    shift
    for ranks in $(some "1 8" "1 3 8"); do
        expect 0 "$MOESIM" run "$tiny" --ranks "$ranks" --quiet \
            -o "$work/$name.$ranks" "$@"
        holds "$work/$name.$ranks/report.json" \
            "all(m['bit_identical_to_oracle'] for m in r['methods'])"
        ask "$work/$name.$ranks/report.json" \
            "[m['output_digest'] for m in r['methods']]" >"$work/$name.digest"
        [ "$ranks" -gt 1 ] || cp "$work/$name.digest" "$work/$name.first"
        cmp -s "$work/$name.digest" "$work/$name.first" &&
            pass "$name on $ranks ranks" || fail "$name on $ranks ranks"
    done
}

same files --set "$files" --set "methods=$nvfp4" \
    --set "precision.expert_in={format: nvfp4, $scale}" \
    --set "precision.gemm2_in={format: nvfp4, global_scale: 40}"
ask "$work/files.1/report.json" "r['methods'][0]['output_digest']" >"$work/a"
expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/drawn" \
    --set "methods=$nvfp4"
ask "$work/drawn/report.json" "r['methods'][0]['output_digest']" >"$work/b"
cmp -s "$work/a" "$work/b" && fail "the files were not read" ||
    pass "other data, other bits"

same trace --set "workload.router={trace: $work/ids.safetensors}"
expect 0 "$MOESIM" run "$tiny" --quiet --method all -o "$work/any" \
    --set "workload.router={trace: $work/ids.safetensors}"
holds "$work/any/report.json" "(lambda ran: len({m['name'] for m in ran}) > 4
    and all(m['bit_identical_to_oracle'] for m in ran))(
    [m for m in r['methods'] if 'refused' not in m])"
expect 0 "$MOESIM" run "$tiny" --quiet -o "$work/w6" \
    --set 'workload.router={sample: W6_rotating_hotspot, step: 5}'
holds "$work/w6/report.json" "all(m['bit_identical_to_oracle']
    for m in r['methods']) and r['routing']['how'] ==
    'drawn: W6_rotating_hotspot'"
expect 2 "$MOESIM" run "$tiny" --quiet -o "$work/x" \
    --set 'workload.router={sample: uniform, step: 5}'
says 'belongs to W0 to W7'
for sampler in uniform 'zipf, s: 1.2' one_expert skip_expert; do
    same "sample.${sampler%%,*}" --set "workload.router={sample: $sampler}"
done

# what is wrong is said, with its file
expect 2 "$MOESIM" run "$tiny" -o "$work/x" --set "methods=$nvfp4" \
    --set "workload.data={hidden: $work/shape.safetensors}" \
    --set "precision.expert_in={format: nvfp4, $scale}" \
    --set "precision.gemm2_in={format: nvfp4, global_scale: 40}"
says 'hidden.* 16 x 128'
for bad in nan inf; do
    expect 2 "$MOESIM" run "$tiny" -o "$work/x" --set "methods=$nvfp4" \
        --set "workload.data={hidden: $work/$bad.safetensors}" \
        --set "precision.expert_in={format: nvfp4, $scale}" \
        --set "precision.gemm2_in={format: nvfp4, global_scale: 40}"
    says "^workload.data.hidden: tensor .*row 9, column 3 is (NaN|infinite),"
done
expect 2 "$MOESIM" run "$tiny" -o "$work/x" \
    --set "workload.router={trace: $work/twice.safetensors}"
says 'token 5'
expect 2 "$MOESIM" run "$tiny" -o "$work/x" \
    --set "workload.router={trace: $work/none.safetensors}"
says 'none.safetensors'
sed "s|^workload:.*|&\n  router: {trace: $work/large.safetensors}|" \
    "$tiny" >"$work/large.yaml"
expect 2 "$MOESIM" price "$work/large.yaml"
says "large.yaml:[0-9]+:19: workload.router.trace: .*large.safetensors: topk_ids: \
token 5, slot 1: expert 1099511627776, expected 4 different ones of 0..15"
[ ! -e "$work/x" ] && pass "no folder left" || fail "$(find "$work/x")"
finish
