#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# vLLM-Ascend's methods by rows: a dp rank's tokens cut over its tp ranks,
# padding masked or routed, rows home by whose they are, INT8 both ways: the
# oracle's bits on every layout, the same bits where the same is rounded.
set -eu
. "$top_srcdir/tests/e2e/lib.sh"
tiny=$top_srcdir/scenarios/tutorial/first.yaml
uses='{mc2: {limits: off}}, alltoallv,
    {mc2: {limits: off, dispatch: int8_token}},
    {alltoallv: {dispatch: int8_token}},
    {mc2: {limits: off, combine: int8_1x8}}, {alltoallv: {combine: int8_1x8}},
    ascend_allgather, {ascend_allgather: {combine_order: ring}}'
lists='{mc2: {limits: off, group_list_type: 0}},
    {alltoallv: {group_list_type: 0}}, {ascend_allgather: {group_list_type: 0}},
    {fused_mc2: {limits: off}}, ascend_native_allgather,
    {ascend_allgather: {sequence_parallel: true, combine_order: ring}}'

# on DP TP TOKENS NUMERICS BITS [OPTION...]: pairs of uses, each with its own
# bits, BITS of them; sums of ranks are those of rows in exact
on() {
    local report=$work/$1x$2-$4${6:+-placed}
    expect 0 "$MOESIM" run "$tiny" --quiet -o "$report" --numerics "$4" \
        --set "layout={dp: $1, tp: $2, ep: $(($1 * $2))}" \
        --set "workload.tokens=$3" --set "methods=[$uses, $lists]" \
        "${@:6}"
    holds "$report/report.json" "len(r['methods']) == 14 and
        all(m['bit_identical_to_oracle'] for m in r['methods'])"
    holds "$report/report.json" "[m['output_digest'] for m in r['methods']][:6:2]
        == [m['output_digest'] for m in r['methods']][1:6:2] and
        [r['methods'][i]['output_digest'] for i in (0, 1, 6)] ==
        [m['output_digest'] for m in r['methods']][8:11] and
        r['methods'][11]['output_digest'] == r['methods'][2]['output_digest'] and
        ('$4' != 'exact' or len({r['methods'][i]['output_digest']
            for i in (6, 7, 10, 12, 13)}) == 1) and
        len({m['output_digest'] for m in r['methods']}) == $5"
}

on 4 1 '[7,1,0,3]' exact 3
on 2 2 '[10,1]' exact 3
on 2 3 '[10,1]' faithful 7
# experts that lie elsewhere, some of them twice: of a rank's expert_map the
# others' are -1, and -1 are those that another rank has for it
on 4 1 '[7,1,0,3]' exact 3 --set layout.placement=round_robin
on 2 2 '[10,1]' exact 3 --set 'layout.placement={kind: eplb, redundant: 4}'

digests="[m['output_digest'] for m in r['methods']]"
for report in 2x2-exact 4x1-exact-placed 2x2-exact-placed; do
    [ "$(ask "$work/4x1-exact/report.json" "$digests")" = \
        "$(ask "$work/$report/report.json" "$digests")" ] &&
        pass "the same bits on 4 x 1 and $report" || fail "other bits: $report"
done

# the fused MC2 is one kernel, with the experts in it: all from permute to
# unpermute is in one bracket, and starts once; slots are not written
expect 0 "$MOESIM" price "$tiny" --quiet --machine atlas-a3 \
    --trace "$work/fused.jsonl" --json "$work/fused.json" --set "methods=[
    {mc2: {limits: off, dispatch: int8_token}}, {fused_mc2: {limits: off}}]"
"$PYTHON" - "$work/fused.jsonl" "$work/fused.json" <<'EOF' &&
import json, sys
head, *lines = [json.loads(line) for line in open(sys.argv[1])]
names = {}
for r in lines:
    if r.get("stage") in ("permute", "experts", "unpermute"):
        names.setdefault(r["method"], set()).add(
            (r["stage"], r.get("bracket", {}).get("name")))
stages = ("permute", "experts", "unpermute")
assert names["fused_mc2"] == {(s, "dispatch_ffn_combine") for s in stages}
assert ("experts", None) in names["mc2"] and len(names["mc2"]) == 3
mc2, fused = json.load(open(sys.argv[2]))["methods"]
assert fused["parts"]["launch_us"] < mc2["parts"]["launch_us"]
sent = [sum(m["by_stage"]["permute"]["payload_bytes"]) for m in (mc2, fused)]
assert sent[0] * (256 + 4) == sent[1] * (256 + 44)
EOF
    pass "the fused MC2 is one kernel" || fail "the fused MC2 is not one kernel"

# limits of the machine, by name
expect 2 "$MOESIM" run "$tiny" --set 'methods=[mc2]' -o "$work/refused"
says 'mc2 cannot run here: its library takes hidden 1024 to 8192'
finish
