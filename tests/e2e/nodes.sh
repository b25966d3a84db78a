#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ranks of several nodes: every method has the oracle's bits, also where sums
# travel unrounded over two hops; what a rail cannot do is refused by name.
set -eu
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99
mkdir -p "$work/models/machines"

# nodes_of N: a scenario on a machine with N ranks a node
nodes_of() {
    sed "0,/size: 8/s//size: $1/; s/^name: .*/name: nodes-of-$1/" \
        "$top_srcdir/models/machines/dgx-h100.yaml" \
        >"$work/models/machines/nodes-of-$1.yaml"
    sed "s/^machine: .*/machine: nodes-of-$1/" \
        "$top_srcdir/scenarios/tutorial/first.yaml" >"$work/nodes-of-$1.yaml"
}

# on RANKS NODE NUMERICS: all methods that run
on() {
    local report=$work/$1x$2-$3
    nodes_of "$2"
    find_uses "$work/nodes-of-$2.yaml" "$1"
    expect 0 "$MOESIM" run "$work/nodes-of-$2.yaml" --ranks "$1" --quiet \
        --numerics "$3" --set "methods=[$(IFS=,; echo "${uses[*]}")]" \
        --set 'workload.tokens={total: 19}' -o "$report"
    holds "$report/report.json" "len(r['methods']) == ${#uses[@]}"
    holds "$report/report.json" \
        "all(m['bit_identical_to_oracle'] for m in r['methods'])"
    holds "$report/report.json" \
        "any(m['name'] == 'deepep_normal' for m in r['methods'])"
}

on 8 4 exact
on 6 2 faithful
if [ -n "${MOESIM_FULL:-}" ]; then
    on 8 4 faithful
    on 6 2 exact
fi

# a rail over the nodes is in the ledger
grep -q '"group":"rail"' "$work/8x4-exact/ledger.jsonl" &&
    pass "the rail is used" || fail "no call on a rail"
# DeepEP's records: 2 x 256 + 8 + 8 k out and 2 x 256 + 8 + 4 k back over it, to
# whole 16 bytes, k = 4; executed as counted in both numerics
"$PYTHON" - "$work/8x4-exact" "$work/6x2-faithful" <<'EOF' &&
import json, sys
for folder in sys.argv[1:]:
    seen = set()
    for line in open(folder + "/ledger.jsonl"):
        c = json.loads(line)
        if c["method"].startswith("deepep_normal-bf16") and c.get("group") == "rail":
            rows = sum(c["send_rows"])
            seen |= {(c["stage"], c["payload"] / rows)} if rows else set()
    print(folder, seen)
    assert seen == {("permute", 560.0), ("unpermute", 544.0)}, seen
EOF
    pass "records of DeepEP on the rail" || fail "records of the rail"

# experts fewer than ranks; all tokens on one rank
expect 0 "$MOESIM" run "$work/nodes-of-4.yaml" --quiet \
    --set layout.dp=8 --set 'model={hidden: 256, intermediate: 128, experts: 4,
        topk: 2, score: softmax, renormalize: true}' \
    --set 'workload.tokens=[0,9,0,0,0,0,0,0]' \
    --set 'methods=[alltoallv,deepep_normal,allgatherv]' -o "$work/few"
holds "$work/few/report.json" \
    "all(m['bit_identical_to_oracle'] for m in r['methods'])"
holds "$work/few/report.json" \
    "len({m['output_digest'] for m in r['methods']}) == 1"

expect 2 "$MOESIM" run "$work/nodes-of-4.yaml" --ranks 7 --quiet \
    --set 'methods=[deepep_normal]' -o "$work/ragged"
says 'deepep_normal cannot run here: needs full nodes'
finish
