#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Golden folders of experts that lie elsewhere, and more than once: their rows,
# what check says of them, what the ranks of a run compute, mistakes in them.
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99

cat >"$work/in.yaml" <<END
moesim: 1
name: placed
model: {name: small, source: "test", hidden: 128, intermediate: 64, experts: 8, topk: 3, score: sigmoid, bias: true, renormalize: true, routed_scaling: 2.5, expert_scales: true, expert_bias: true, layers: 1, moe_layers: 1}
layout: {dp: 4, tp: 1, ep: 4}
workload: {phase: prefill, tokens: [11, 5, 0, 9]}
methods: [{allgatherv: {dispatch: nvfp4}}]
seed: 5
END
spoil="$PYTHON $top_srcdir/tests/e2e/spoil.py"
export MOESIM
placements=(round_robin
    '{redundant: 4}'
    '{kind: eplb, redundant: 4, replicas: round_robin}')
[ -z "${MOESIM_FULL:-}" ] || placements+=(
    '{kind: round_robin, redundant: 8, replicas: first}'
    '{kind: eplb, redundant: 8, load: [9, 1, 7, 0, 30, 4, 4, 2]}')
golden() { # DIR PLACEMENT
    expect 0 "$MOESIM" golden -q "$work/in.yaml" -o "$work/$1" \
        --weights local --set "layout.placement=$2"
}
# run DIR STATUS PLACEMENT OPTION...: in which ranks compute a golden folder
run() {
    local dir=$1 want=$2 how=$3
    shift 3
    expect "$want" "$MOESIM" run -q "$work/in.yaml" --golden -o "$work/$dir" \
        --set "layout.placement=$how" "$@"
}
replicas() {
    case $1 in
    *"replicas: "*) sed 's/.*replicas: //; s/}//' <<<"$1" ;;
    *) echo source ;;
    esac
}

# each tensor is where its expert's is in the folder of experts in order; ranks
# of a run compute the same bytes
golden linear linear
for i in "${!placements[@]}"; do
    how=${placements[$i]}
    golden "p$i" "$how"
    "$PYTHON" "$top_srcdir/tests/e2e/placed_judge.py" "$work/linear" \
        "$work/p$i" "$(replicas "$how")" >"$work/judged" ||
        fail "$how: $(grep -m 3 -v '^pass' "$work/judged")"
    n_pass=$((n_pass + $(grep -c '^pass' "$work/judged")))
    expect 0 "$MOESIM" check "$work/p$i" "$work/p$i" --json "$work/check.json"
    holds "$work/check.json" "r['status'] == 'good' and r['warnings'] == [] and
        len([f for f in r['findings'] if f['kind'] == 'as placed']) == 4 and
        len(r['findings']) == 52"
    [ -n "${MOESIM_FULL:-}" ] || [ "$i" = 2 ] || continue
    run "run$i" 0 "$how" --weights local
    holds "$work/run$i/golden/manifest.json" \
        "{'topk_ids', 'expert_in', 'gemm2_out', 'output'} <=
        set(r['executed']['places'])"
    for rank in 0 1 2 3; do
        cmp "$work/p$i/rank-000$rank.safetensors" \
            "$work/run$i/golden/rank-000$rank.safetensors" &&
            pass "rank $rank computed the same bytes" ||
            fail "rank $rank differs"
    done
done

# every method, sums in their own orders, a layout of a method's own
methods=$("$MOESIM" list methods --json - | EACH=$(some 3 1) "$PYTHON" -c '
import json, os, sys
print(", ".join("{%s: {%s}}" % (m["name"], "limits: off" if any(
    o["key"] == "limits" for o in m["options"]) else "")
    for m in json.load(sys.stdin)["items"][::int(os.environ["EACH"])]
    if m["name"] != "capacity_alltoall"))')
for numerics in $(some "" "exact faithful"); do
    run $numerics 0 "${placements[2]}" --numerics $numerics \
        --set model.intermediate=256 --set model.expert_bias=false \
        --set "methods=[$methods]"
    expect 0 "$MOESIM" check "$work/$numerics/golden" "$work/$numerics/golden"
done
run own 0 "${placements[2]}" --set model.intermediate=256 \
    --set 'methods=[{mc2: {limits: off, layout: {dp: 1, tp: 4}}}]'
holds "$work/own/golden/manifest.json" "'expert_in' in r['executed']['places']
    and [x['tokens'] for x in r['ranks']] == [[0, 25]] * 4"
expect 0 "$MOESIM" check "$work/own/golden" "$work/own/golden"

# judge STATUS CHANGE...: of rank 1's file, spoiled
judge() {
    local want=$1
    shift
    $spoil "$work/p2/rank-0001.safetensors" "$work/got.safetensors" "$@" ||
        fail "spoil $*"
    expect "$want" "$MOESIM" check "$work/p2" "$work/got.safetensors" \
        --only-rank 1 --json "$work/check.json"
    echo "      of: $*"
}
judge 0 shuffle
judge 0 shuffle drop:slot
judge 0 shuffle drop:slot drop:expert
judge 0 keep:output
judge 1 drop-row
holds "$work/check.json" "[f for f in r['findings'] if
    f['kind'] == 'row missing' and f['rank'] == 1]"
judge 1 drop-row drop:src_token
grep -q 'pairs were sent to physical experts 3 to 5' "$work/stdout" &&
    pass "says which slots" || fail "$(cat "$work/stdout")"
judge 1 zero-row:gemm2_out:3
"$PYTHON" - "$work" "$top_srcdir/tests/e2e" <<'END' &&
import json, sys
sys.path.insert(0, sys.argv[2])
import tensors as T
r = T.read(sys.argv[1] + "/p2/rank-0001.safetensors")
found = json.load(open(sys.argv[1] + "/check.json"))["findings"]
worst = [f["worst"] for f in found if f["tensor"] == "gemm2_out" and
         f["verdict"] == "bad" and f["rank"] == 1]
assert [(w["row"], w["expert"], w["physical_expert"]) for w in worst] == [
    (3, T.values(r["expert"])[3], T.values(r["physical_expert"])[3])]
END
    pass "a row at fault is named by expert and slot" ||
    fail "$(cat "$work/stdout")"
grep -qE '^gemm2_out: .*expert [0-9]+ \(physical [3-5]\), rank 1' \
    "$work/stdout" && pass "in words" || fail "$(cat "$work/stdout")"
judge 1 flip:physical_ids:0
holds "$work/check.json" "[f for f in r['findings'] if f['rank'] == 1 and
    f['tensor'] == 'physical_ids' and f['verdict'] == 'bad' and
    f['what'].startswith('1 of 15; token 11, slot 0, expert ')]"
judge 1 keep:gemm2_out,src_rank,src_token,slot,expert,physical_ids \
    flip:physical_ids:0
holds "$work/check.json" "[f['verdict'] for f in r['findings']
    if f['tensor'] == 'physical_ids'] == ['bad']"
# two runs whose rows lie in another order are no race
keep=keep:expert_in,gemm1_out,gemm2_out
mkdir "$work/first" "$work/second"
for rank in 0 1 2 3; do
    file=rank-000$rank.safetensors
    $spoil "$work/p2/$file" "$work/first/$file" $keep
    $spoil "$work/p2/$file" "$work/second/$file" $keep shuffle
done
expect 0 "$MOESIM" check "$work/p2" "$work/first" "$work/second"

# mistakes of kernels on placed experts, made here by op, are named
"$PYTHON" "$top_srcdir/tests/e2e/placed_mistakes.py" "$work/p2" "$work/wrong" ||
    fail "no wrong kernels"
for name in off-by-one-expert global-ids-for-local; do
    expect 1 "$MOESIM" check "$work/p2" "$work/wrong/$name.safetensors" \
        --only-rank 1 --json "$work/check.json"
    holds "$work/check.json" "[(d['rank'], d['names'], d['named'])
        for d in r['diagnosis']] == [(1, ['$name'], True)]"
done

# a manifest that says something else
edit_manifest() { # FOLDER CHANGE
    "$PYTHON" -c '
import json, sys
m = json.load(open(sys.argv[1]))
exec(sys.argv[2])
json.dump(m, open(sys.argv[1], "w"))' "$1/manifest.json" "$2"
}
for change in 'm["physical_to_logical"].reverse()' \
    'del m["physical_to_logical"]' 'm["physical_to_logical"].pop()' \
    'm["physical_to_logical"][0] = 8' 'm["physical_to_logical"][0] = "x"' \
    'm["physical_to_logical"] = [0] * 12'; do
    for folder in p1 p2; do
        case $folder$change in p2*reverse*) continue ;; esac # by the routing
        rm -rf "$work/other"
        cp -r "$work/$folder" "$work/other"
        edit_manifest "$work/other" "$change"
        expect 2 "$MOESIM" check "$work/other" "$work/$folder"
        says 'physical_to_logical: '
    done
done
edit_manifest "$work/linear" 'm["physical_to_logical"] = list(range(8))'
expect 2 "$MOESIM" check "$work/linear" "$work/p0"
says 'physical_to_logical: the scenario has experts in order'

# injected mistakes: those that know no places give the bits that they give
# with experts in order, the next expert's weights do not
inject() { # NAME FAULT PLACEMENT
    expect 1 "$MOESIM" run -q "$work/in.yaml" --set "layout.placement=$3" \
        --inject "$2" -o "$work/$1"
    ask "$work/$1/report.json" "r['methods'][0]['output_digest']" \
        >"$work/$1.digest"
}
for fault in $(some off-by-one-expert "gate-up-swapped
    bias-in-weights another-layers-weights nibbles-swapped off-by-one-expert")
do
    inject "in-order-$fault" $fault linear
    inject "placed-$fault" $fault "${placements[2]}"
    same=0
    cmp -s "$work/in-order-$fault.digest" "$work/placed-$fault.digest" || same=1
    [ $same -eq "$([ $fault = off-by-one-expert ] && echo 1 || echo 0)" ] &&
        pass "$fault" || fail "$fault: cmp says $same"
done
run no 1 "${placements[2]}" --inject gate-up-swapped@1
says 'rank . of allgatherv: row [0-9]+ of [a-z0-9_]+ is not what the reference'
finish
