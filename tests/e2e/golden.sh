# SPDX-License-Identifier: Apache-2.0
# moesim golden: check passes it against itself, op makes each tensor of it
# again, and what it refuses.
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99

model='model={name: small, source: "test", hidden: 128, intermediate: 64, experts: 8, topk: 3, score: sigmoid, bias: true, renormalize: true, routed_scaling: 2.5, layers: 1, moe_layers: 1}'
cat >"$work/in.yaml" <<END
moesim: 1
name: golden
model: {name: small, source: "test", hidden: 128, intermediate: 64, experts: 8, topk: 3, score: sigmoid, bias: true, renormalize: true, routed_scaling: 2.5, layers: 1, moe_layers: 1}
layout: {dp: 2, tp: 1, ep: 2}
workload: {phase: prefill, tokens: [11, 5]}
methods: [{allgatherv: {dispatch: nvfp4}}]
seed: 5
END
golden() { # STATUS ARGUMENT...
    local want=$1
    shift
    expect "$want" "$MOESIM" golden "$work/in.yaml" "$@"
}

golden 0 -o "$work/g" --weights local
expect 0 "$MOESIM" check "$work/g" "$work/g" --json "$work/check.json"
holds "$work/check.json" "r['status'] == 'good' and len(r['findings']) == 24"
holds "$work/g/manifest.json" "r['schema'] == 'moesim-golden-1' and
    r['k'] == {'logits': 128, 'gemm1_out': 128, 'gemm2_out': 64, 'combine': 3}
    and [x['pairs'] for x in r['ranks']] != [0, 0] and
    sum(x['pairs'] for x in r['ranks']) == 3 * 16"
export MOESIM
# judged NAME: tensors of a folder are what op makes of the ones before
judged() {
    "$PYTHON" "$top_srcdir/tests/e2e/golden_judge.py" "$work/$1" "$work" \
        >"$work/judged" || fail "$1: a tensor is not what op makes of the one before"
    n_pass=$((n_pass + $(grep -c '^pass' "$work/judged")))
    n_fail=$((n_fail + $(grep -c '^FAIL' "$work/judged")))
    grep '^FAIL' "$work/judged"
}
# bounded NAME: beside floats are their bounds
bounded() {
    "$PYTHON" "$top_srcdir/tests/e2e/golden_bounds.py" "$work/$1" &&
        pass "$1: bounds" || fail "$1: bounds"
}
judged g
bounded g
# a global scale an expert
golden 0 -o "$work/scaled" --weights local --set model.expert_scales=true
judged scaled

# the manifest has the shapes of the files, the size is that of all of them
listed() {
    "$PYTHON" - "$1" "$top_srcdir/tests/e2e" <<'END' &&
import json, sys
sys.path.insert(0, sys.argv[2])
import tensors as T
for rank in json.load(open(sys.argv[1] + "/manifest.json"))["ranks"]:
    file = T.read(sys.argv[1] + "/" + rank["file"])
    assert rank["tensors"] == {n: [t[0], list(t[1])] for n, t in file.items()}
    assert list(rank["tensors"]) == list(file)
END
        pass "shapes in the manifest" || fail "shapes in the manifest of $1"
}
listed "$work/g"
bytes=$(cat "$work/g"/* | wc -c)
golden 2 -o "$work/most" --weights local --max-bytes $((bytes - 1))
says "would take $bytes bytes"
golden 0 -o "$work/most" --weights local --max-bytes $bytes

# parts: one rank, some stages, without weights: the same bytes of less
golden 0 -o "$work/part" --only-rank 1 --stages dispatch,combine
[ "$(ls "$work/part" | tr '\n' ' ')" = \
    "manifest.json rank-0001.safetensors scenario.yaml " ] &&
    pass "one rank" || fail "one rank: $(ls "$work/part")"
"$PYTHON" - "$work" "$top_srcdir/tests/e2e" <<'END' && pass parts || fail parts
import sys
sys.path.insert(0, sys.argv[2])
import tensors as T
whole = T.read(sys.argv[1] + "/g/rank-0001.safetensors")
part = T.read(sys.argv[1] + "/part/rank-0001.safetensors")
assert all(whole[name] == t for name, t in part.items())
assert "combine" in part and "dispatch.scale" in part
assert not {"gemm1_out", "act_out", "w13"} & set(part)
END
golden 0 -o "$work/again" --weights local
cmp "$work/g/rank-0000.safetensors" "$work/again/rank-0000.safetensors" &&
    pass "the same bytes twice" || fail "bytes differ"

# all that an implementation needs of gpt-oss' kind, of the file alone
biased="--set model.score=softmax_chosen --set model.renormalize=false
    --set model.activation=swiglu_oai --set model.gate_up=interleaved
    --set model.expert_bias=true"
golden 0 -o "$work/biased" --weights local --ranks 1 $biased
for ids in topk_ids none; do # the ids of the file, or of its router and bias
    expect 0 "$MOESIM" op moe-layer --in "$work/biased/rank-0000.safetensors" \
        --out "$work/layer.safetensors" --tensor topk_ids=$ids \
        --set dispatch=nvfp4 --set "$model" $biased
    "$PYTHON" - "$work" "$top_srcdir/tests/e2e" <<'END' &&
import sys
sys.path.insert(0, sys.argv[2])
import tensors as T
want = T.read(sys.argv[1] + "/biased/rank-0000.safetensors")
got = T.read(sys.argv[1] + "/layer.safetensors")
assert got["output"] == want["output"] and got["gemm1_out"] == want["gemm1_out"]
assert want["w13.bias"][1] == (8, 128) and any(T.values(want["w2.bias"]))
END
        pass "a layer from its file, $ids" || fail "a layer, $ids"
done

# one rank, other ranks
golden 0 -o "$work/four" --ranks 4
expect 0 "$MOESIM" check "$work/four" "$work/four"

# bounds of matmuls whose weights are not NVFP4: products in float64
golden 0 -o "$work/unrounded" --set precision.gemm2_out=exact
expect 0 "$MOESIM" check "$work/unrounded" "$work/unrounded"
golden 0 -o "$work/plain" --weights local --set precision.weights=bf16 \
    --set precision.expert_in=bf16 --set precision.gemm2_in=bf16 \
    --method allgatherv --dispatch bf16
"$PYTHON" - "$work/plain" "$top_srcdir/tests/e2e" <<'END' &&
import struct, sys
sys.path.insert(0, sys.argv[2])
import tensors as T
r = T.read(sys.argv[1] + "/rank-0000.safetensors")
def wide(name):
    return [struct.unpack("<f", struct.pack("<I", c << 16))[0]
            for c in T.values(r[name])]
expert = T.values(r["expert"])
for x, w, out in (("expert_in", "w13", "gemm1_out"),
                  ("gemm2_in", "w2", "gemm2_out")):
    (n, k), rows = r[x][1], r[w][1][1]
    a, b, bound = wide(x), wide(w), T.values(r[out + ".abs"])
    assert len(bound) == n * rows
    for i in range(0, n, 3):
        for j in range(0, rows, 7):
            at = ((expert[i] - expert[0]) * rows + j) * k
            s = sum(abs(p * q) for p, q in zip(a[i * k:(i + 1) * k],
                                               b[at:at + k]))
            assert s <= bound[i * rows + j] * (1 + 1e-6) <= 9 * s, (i, j)
END
    pass "bounds of bf16 weights" || fail "bounds of bf16 weights"

# what ranks of a run compute, of every method: the same bytes; in faithful
# as far as sums, which are the method's own
run() { # STATUS ARGUMENT...
    local want=$1
    shift
    expect "$want" "$MOESIM" run -q "$work/in.yaml" --golden --weights local "$@"
}
run 0 -o "$work/all" --method all
run 0 -o "$work/run"
for rank in 0 1; do
    cmp "$work/g/rank-000$rank.safetensors" "$work/run/golden/rank-000$rank.safetensors" &&
        pass "rank $rank computed the same bytes" || fail "rank $rank differs"
done
run 0 -o "$work/faithful" --numerics faithful
holds "$work/faithful/golden/manifest.json" "r['order'] == 'fp32_slot, rank' and
    r['executed']['method'] == 'allgatherv' and
    set('hidden logits topk_ids topk_weights dispatch expert_in gemm1_out act_out gemm2_in gemm2_out combine output'.split()) ==
    set(r['executed']['places'])"
"$PYTHON" - "$work" "$top_srcdir/tests/e2e" <<'END' && pass sums || fail sums
import struct, sys
sys.path.insert(0, sys.argv[2])
import tensors as T
def wide(t):
    return [struct.unpack("<f", struct.pack("<I", c << 16))[0]
            for c in T.values(t)]
def bf16(x):
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16
exact, own = ([T.read("%s/%s/rank-%04d.safetensors" % (sys.argv[1], d, r))
               for r in (0, 1)] for d in ("g", "faithful/golden"))
for a, b in zip(exact, own):
    assert all(a[n] == b[n] for n in a if n.split(".")[0] not in
               ("combine", "output"))
a, b = (wide(r["combine"]) for r in own)
out = [c for r in own for c in T.values(r["output"])]
assert out == [bf16(x + y) for x, y in zip(a, b)]
assert out != [c for r in exact for c in T.values(r["output"])]
END
expect 0 "$MOESIM" check "$work/faithful/golden" "$work/faithful/golden"
listed "$work/faithful/golden"
listed "$work/run/golden"
run 1 -o "$work/no" --inject gate-up-swapped@1
says 'rank . of allgatherv: row [0-9]+ of [a-z0-9_]+ is not what the reference'
run 2 -o "$work/no" --stages dispatch
says 'golden: needs all stages'

# shared experts: the last slot of every token, with weight 1; every method
# gives the oracle's bits. Routing that no logits make is an input of check.
expect 0 "$MOESIM" run -q "$work/in.yaml" --golden --method all \
    --set model.experts=9 --set model.topk=4 --set model.shared_experts=1 \
    --set 'workload.router={sample: uniform}' -o "$work/shared"
"$PYTHON" - "$work/shared/golden" "$top_srcdir/tests/e2e" <<'END' &&
import sys
sys.path.insert(0, sys.argv[2])
import tensors as T
r = T.read(sys.argv[1] + "/rank-0000.safetensors")
ids, weights = T.values(r["topk_ids"]), T.values(r["topk_weights"])
assert set(ids[3::4]) == {8} and set(weights[3::4]) == {1.0}
assert 8 not in ids[0::4] + ids[1::4] + ids[2::4]
END
    pass "shared experts" || fail "shared experts"
expect 0 "$MOESIM" check "$work/shared/golden" "$work/shared/golden"

# methods that lay the layer in their own way: the folder is of their ranks
for use in '{tp_allreduce: {layout: {dp: 1, tp: 2, ep: 1}}}' \
    '{mc2: {limits: off, layout: {dp: 1, tp: 2}}}'; do
    rm -rf "$work/own"
    case $use in *tp_all*) rows=exact ;; *) rows=bf16 ;; esac
    run 0 -o "$work/own" --set model.intermediate=128 \
        --set precision.gemm2_out=$rows --set "methods=[$use]"
    holds "$work/own/golden/manifest.json" "
        [x['tokens'] for x in r['ranks']] == [[0, 16], [0, 16]] and
        {'hidden', 'expert_in', 'output'} <= set(r['executed']['places']) and
        ('gemm2_out' in r['executed']['places']) == ('mc2' in '''$use''')"
    expect 0 "$MOESIM" check "$work/own/golden" "$work/own/golden"
done
run 0 -o "$work/second" --set model.intermediate=128 \
    --set "methods=[allgatherv, $use, {tp_allreduce: {layout: {dp: 1, tp: 2, ep: 1}}}]"
run 2 -o "$work/no" --set model.intermediate=128 --set \
    'methods=[{tp_allreduce: {layout: {dp: 1, tp: 2, ep: 1}}}]'
says 'tp_allreduce adds up parts of the experts. rows and rounds none'

# what it refuses, before anything is written
golden 2 -o "$work/g"
says 'is there already, and golden folders are never overwritten'
golden 2 -o "$work/small" --max-bytes 10kB
says 'would take [0-9]+ bytes, more than 10000'
golden 2 -o "$work/no" --only-rank 2
says 'only-rank: is 2, expected 0 to 1'
golden 0 -o "$work/points" --tokens 4,1
says 'the folder is of the first of 2 points'
golden 2
says 'DIR is missing'
golden 2 -o "$work/no" --numerics faithful
golden 2 -o "$work/no" --weights some
golden 3 -o "$work/in.yaml/no"

# ended from outside while a file of the folder is being written
"$MOESIM" golden -q --model deepseek-r1 --dp 8 --ep 8 --tokens 16 \
    --method allgatherv --dispatch nvfp4 --only-rank 1 --weights local \
    -o "$work/no" &
pid=$!
for _ in $(seq 600); do
    ls "$work"/no.unfinished-*/rank-* >/dev/null 2>&1 && break
    sleep 0.05
done
ls "$work"/no.unfinished-*/rank-* >/dev/null && pass "begun" || fail "not begun"
kill -TERM "$pid"
status=0
wait "$pid" || status=$?
[ "$status" -eq 143 ] && pass "ended" || fail "exit $status"
[ "$(ls "$work" | grep -cE '^(small|no|.*unfinished.*)')" -eq 0 ] &&
    pass "nothing left" || fail "left: $(ls "$work")"
finish
