#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Golden folders of gates with capacity: what DeepSpeed published, the rules
# beside it, what a run computes, and what check finds in a kernel's.
set -eu
. "$top_srcdir/tests/e2e/lib.sh"
tiny=$top_srcdir/scenarios/tutorial/first.yaml
seeds=$top_srcdir/scenarios/seeds
judge="$PYTHON $top_srcdir/tests/e2e/gated_judge.py"

# use DROP [OPTIONS]: the method that drops so, with DeepSpeed's gate of any k
use() {
    echo "{capacity_alltoall: {drop: $1, gate: topk, ${2:-min_capacity: 1,} label: $1}}"
}
for of in deepspeed-gating:probs deepspeed-gating:position \
    deepspeed-gating-k3:probs deepspeed-gating-k3:position; do
    name=${of%:*} label=${of#*:}
    expect 0 "$MOESIM" golden -q "$seeds/$name.yaml" -o "$work/$of" \
        --set "methods=[$(use "$label")]"
    expect 0 $judge published "$name" "$label" "$work/$of"
    expect 0 "$MOESIM" check -q "$work/$of" "$work/$of"
done
expect 0 "$MOESIM" golden -q "$seeds/deepspeed-gating-keep.yaml" -o "$work/keep"
expect 0 $judge published deepspeed-gating-keep keep "$work/keep"
expect 0 "$MOESIM" check "$work/keep" "$work/keep" --json "$work/check.json"
holds "$work/check.json" "{'location', 'expert_counts', 'aux_loss'} <=
    {f['tensor'] for f in r['findings']}"

# ranks: capacities of each one's own tokens, one without any; what a run
# computes, of methods that drop otherwise and not at all
softmax="--set model.n_group=1 --set model.topk_group=1 --set model.bias=false
    --set model.score=softmax --set model.routed_scaling=1"
tight='capacity_factor: 0.5, min_capacity: 2'
drops="{capacity_alltoall: {drop: position, $tight}}"
best="{capacity_alltoall: {drop: probs, $tight}}"
golden() { # STATUS FOLDER METHODS MORE...
    local want=$1 folder=$2 methods=$3
    shift 3
    expect "$want" "$MOESIM" golden -q "$tiny" $softmax -o "$work/$folder" \
        --set 'workload.tokens=[16,14,0,9]' --set "methods=[$methods]" "$@"
}
golden 0 plain alltoallv
golden 0 ranks "$drops"
golden 0 best "$best"
expect 0 $judge rules "$work/plain" "$work/ranks" position 2
expect 0 $judge rules "$work/plain" "$work/best" probs 2
expect 0 "$MOESIM" run -q "$tiny" $softmax -o "$work/run" --golden \
    --set 'workload.tokens=[16,14,0,9]' --set "methods=[$drops, alltoallv,
        $best, {capacity_alltoall: {drop: position, capacity: tutel,
        capacity_factor: -1, min_capacity: 4}}, {capacity_alltoall: {drop: position, $tight,
        combine_path: dense}}, capacity_alltoall]"
for rank in 0 1 2 3; do
    cmp "$work/ranks/rank-000$rank.safetensors" \
        "$work/run/golden/rank-000$rank.safetensors" &&
        pass "rank $rank computed the same bytes" || fail "rank $rank differs"
done
holds "$work/run/golden/manifest.json" "{'topk_ids', 'topk_weights', 'output',
    'location', 'expert_counts', 'aux_loss'} <= set(r['executed']['places']) and
    r['gate'] == {'method': r['executed']['method'], 'rule': 'deepspeed',
    'drop': 'position', 'capacity': 2}"
expect 0 "$MOESIM" check -q "$work/run/golden" "$work/ranks"
expect 0 "$MOESIM" check -q "$work/best" "$work/best"
expect 1 "$MOESIM" check -q "$work/best" "$work/ranks"
expect 0 "$MOESIM" run -q "$tiny" $softmax -o "$work/faithful" --golden \
    --numerics faithful --set 'workload.tokens=[16,14,0,9]' \
    --set "methods=[$drops]"
expect 0 "$MOESIM" check -q "$work/faithful/golden" "$work/faithful/golden"

# routing that no logits make, and scores that are no softmax: the weights are
# the scores
for router in '{sample: zipf, s: 2}' data; do
    rm -rf "$work/other"
    expect 0 "$MOESIM" run -q "$tiny" -o "$work/other" --golden \
        --set 'workload.tokens=16' --set "workload.router=$router" \
        --set "methods=[$best]"
    expect 0 "$MOESIM" check -q "$work/other/golden" "$work/other/golden"
    $judge spoil "$work/other/golden/rank-0001.safetensors" \
        "$work/got.safetensors" keeps >/dev/null
    expect 1 "$MOESIM" check -q "$work/other/golden" "$work/got.safetensors" \
        --only-rank 1
done

# DeepSpeed's top-1 gate; a layout of the method's own, whose ranks those of a
# folder are that a run writes, not golden's
expect 0 "$MOESIM" run -q "$tiny" $softmax -o "$work/one" --golden \
    --set model.topk=1 --set model.renormalize=false \
    --set 'workload.tokens=24' --set "methods=[{capacity_alltoall:
        {drop: random, $tight}}, {capacity_alltoall: {drop: position, $tight}}]"
expect 0 "$MOESIM" check -q "$work/one/golden" "$work/one/golden"
own="{capacity_alltoall: {drop: probs, $tight, layout: {dp: 4, tp: 1, ep: 4}}}"
expect 0 "$MOESIM" run -q "$tiny" $softmax -o "$work/laid" --golden \
    --set 'layout={dp: 2, tp: 2, ep: 4}' --set 'workload.tokens=[16,16]' \
    --set "methods=[$own]"
holds "$work/laid/golden/manifest.json" "[x['tokens'] for x in r['ranks']] ==
    [[0, 8], [8, 16], [16, 24], [24, 32]]"
expect 0 "$MOESIM" check -q "$work/laid/golden" "$work/laid/golden"
expect 2 "$MOESIM" golden "$tiny" $softmax -o "$work/no" \
    --set 'layout={dp: 2, tp: 2, ep: 4}' --set 'workload.tokens=[16,16]' \
    --set "methods=[$own]"
says 'has a layout of its own and drops .* expected that layout as the scen'

# gives CHANGE STATUS NAMES: check of rank 1's file with a mistake; words of
# the spoiler in $said
router=topk_ids,topk_weights
gives() {
    said=$($judge spoil "$work/ranks/rank-0001.safetensors" \
        "$work/got.safetensors" "$1" ${3:-})
    expect "$2" "$MOESIM" check "$work/ranks" "$work/got.safetensors" \
        --only-rank 1 --json "$work/check.json"
}
# bad TENSOR EXPRESSION: only the finding f of a tensor is bad, and so
bad() {
    holds "$work/check.json" "[f['tensor'] for f in r['findings']
        if f['verdict'] == 'bad' and ($2)] == ['$1']"
}
for change in none ulp columns; do
    gives $change 0
    gives $change 0 $router,location,output
done
for names in "$router,location" "logits,$router"; do
    gives keeps 1 "$names"
    set -- $said
    bad topk_ids "f['worst']['token'] == 16 + $1 and f['worst']['got'] == $3 and
        f['worst']['want'] == -1 and f['near_ties'] == 0"
    holds "$work/check.json" "r['diagnosis'][0]['names'] == []"
    gives drops 1 "$names"
    set -- $said
    bad topk_ids "f['worst']['token'] == 16 + $1 and f['worst']['got'] == -1 and
        f['worst']['want'] == $3"
done
gives routed 1 $router,location
bad topk_weights "f['worst']['token'] == 16 + $said"
holds "$work/check.json" "r['diagnosis'][0]['names'] == []"
for name in location expert_counts aux_loss; do
    gives $name 1
    bad $name "f['kind'] == \"not the gate's\""
    gives $name 1 $name
done
# later places are judged from GOT's own ids
gives drops 1
holds "$work/check.json" "[f['tensor'] for f in r['findings'] if
    f['verdict'] == 'bad'] == ['topk_ids', 'output']"

# tokens that are the same: any of them may stay, not more of them
$judge same "$seeds/deepspeed-gating.safetensors" "$work/same.safetensors" 4
for drop in probs:0 position:1; do
    expect 0 "$MOESIM" golden -q "$seeds/deepspeed-gating.yaml" \
        -o "$work/same-$drop" --set "methods=[$(use "${drop%:*}")]" \
        --set "workload.data={hidden: $work/same.safetensors, gate: $seeds/deepspeed-gating.safetensors}"
    $judge trade "$work/same-$drop/rank-0000.safetensors" \
        "$work/trade.safetensors"
    expect "${drop#*:}" "$MOESIM" check "$work/same-$drop" \
        "$work/trade.safetensors" --json "$work/check.json"
done
bad topk_ids "f['near_ties'] == 0"
expect 0 "$MOESIM" check "$work/same-probs:0" \
    "$work/same-probs:0/rank-0000.safetensors"
$judge spoil "$work/same-probs:0/rank-0000.safetensors" \
    "$work/got.safetensors" keeps $router
expect 1 "$MOESIM" check "$work/same-probs:0" "$work/got.safetensors"

# the weight of a dropped pair: 0 where no ids say that it was dropped
"$PYTHON" - "$work/best/rank-0000.safetensors" "$work" <<'PY'
import os, sys
sys.path.insert(0, os.environ["top_srcdir"] + "/tests/e2e")
import tensors as T
t = T.read(sys.argv[1])
ids, weights = T.values(t["topk_ids"]), T.values(t["topk_weights"])
weights[ids.index(-1)] = 0.7
t["topk_weights"] = T.pack("F32", t["topk_weights"][1], weights)
T.write(sys.argv[2] + "/ids.safetensors", t)
T.write(sys.argv[2] + "/alone.safetensors", {"topk_weights": t["topk_weights"]})
PY
check_one() { # STATUS FOLDER NAME
    expect "$1" "$MOESIM" check "$work/$2" "$work/$3.safetensors" \
        --only-rank 0 --json "$work/check.json"
}
check_one 0 best ids
check_one 1 best alone
bad topk_weights "f['worst']['got'] > 0.6"

# a router with two experts alike, all others far apart: counts of these that
# are full, which ids do not settle, may differ by as many as tie where they
# were dropped; the loss by what that makes
golden 0 routed "$best" --weights local --only-rank 0
"$PYTHON" "$top_srcdir/tests/e2e/golden_bounds.py" "$work/routed" &&
    pass "bounds beside floats" || fail "bounds beside floats"
"$PYTHON" - "$work/routed/rank-0000.safetensors" "$work/alike.safetensors" <<'PY'
import os, sys
sys.path.insert(0, os.environ["top_srcdir"] + "/tests/e2e")
import tensors as T
t = T.read(sys.argv[1])
rows, cols = t["router"][1]
router, counts = T.values(t["router"]), T.values(t["expert_counts"])
a = max(range(rows - 1), key=lambda e: counts[e])
router[(a + 1) * cols:(a + 2) * cols] = router[a * cols:(a + 1) * cols]
open(sys.argv[2] + ".first", "w").write("%d" % a)
T.write(sys.argv[2], {"gate": T.pack("BF16", (rows, cols), router)})
PY
golden 0 alike "$best" --set "workload.data={gate: $work/alike.safetensors}"
"$PYTHON" - "$work/alike/rank-0000.safetensors" "$work" <<'PY'
import os, sys
sys.path.insert(0, os.environ["top_srcdir"] + "/tests/e2e")
import tensors as T
t = T.read(sys.argv[1])
a = int(open(sys.argv[2] + "/alike.safetensors.first").read())
counts, loss = T.values(t["expert_counts"]), T.values(t["aux_loss"])[0]
alike = a, a + 1
others = [e for e, n in enumerate(counts) if n > 2 and e not in alike]
assert counts[a] > 4 and counts[a + 1] > 1, counts
for name, off, by, lost in (("tied", alike, 1, loss),
                            ("lost", alike, 1, 123.0),
                            ("all", alike, counts[a] - 2, loss),
                            ("apart", others, 1, loss),
                            ("more", alike, 0, loss)):
    moved = list(counts)
    moved[off[0]] -= by
    moved[off[1]] += max(by, 1)
    t["expert_counts"] = T.pack("I32", t["expert_counts"][1], moved)
    t["aux_loss"] = T.pack("F32", (1,), [lost])
    T.write(sys.argv[2] + "/%s.safetensors" % name, t)
PY
check_one 0 alike tied
holds "$work/check.json" "[w for w in r['warnings'] if 'full experts' in w]"
check_one 1 alike lost
bad aux_loss "f['kind'] == 'not the gate\'s'"
for name in all apart more; do
    check_one 1 alike $name
    bad expert_counts "f['kind'] == 'not the gate\'s'"
done

# what has no folder, and what is none
expect 2 "$MOESIM" golden "$tiny" -o "$work/no" \
    --set 'methods=[{capacity_alltoall: {combine_path: dense}}]'
says 'rounds its routing weights, .* expected combine_path: sparse'
bins='{alltoallv: {expert_block: bin, capacity_factor: 1}}'
expect 2 "$MOESIM" run -q "$tiny" -o "$work/no" --golden --set "methods=[$bins]"
says 'leaves out rows at the experts'
expect 0 "$MOESIM" golden "$tiny" -o "$work/bins" --set "methods=[$bins]"
says 'warning: .* leaves out rows beyond the bins .* has all pairs'
cp -r "$work/ranks" "$work/changed"
"$PYTHON" - "$work/changed/manifest.json" <<'PY'
import json, sys
m = json.load(open(sys.argv[1]))
m["ranks"][1]["tokens"] = [0, 14]
m["ranks"][1]["all_tokens"] = [0, 39]
json.dump(m, open(sys.argv[1], "w"))
PY
expect 2 "$MOESIM" check "$work/changed" "$work/ranks"
says 'ranks.1..tokens: are not those that the gate has of rank 1'
finish
