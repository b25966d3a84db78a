# SPDX-License-Identifier: Apache-2.0
# Methods whose partial sums travel coded: check passes what their ranks
# compute, against a folder of the run and one that is made in process, and
# nothing that is further off than codes are.
. "${top_srcdir:?}/tests/e2e/lib.sh" || exit 99

cat >"$work/in.yaml" <<'END'
moesim: 1
name: coded-sums
model: {name: small, source: "test", hidden: 2048, intermediate: 128, experts: 8, topk: 3, score: softmax, renormalize: true, layers: 1, moe_layers: 1}
layout: {dp: 2, ep: 2}
workload: {tokens: [9, 4]}
precision: {expert_in: bf16, gemm2_in: bf16, weights: bf16}
methods: [allgatherv]
seed: 3
END

cat >"$work/spoil.py" <<'END'
import os, struct, sys
sys.path.insert(0, os.environ["top_srcdir"] + "/tests/e2e")
import tensors as T
how, path, to = sys.argv[1:]
f = T.read(path)
kind, shape, raw = f["output"]
wide = 2 * shape[1]
if how == "moved":  # a row from the neighbour token
    raw = raw[wide:2 * wide] + raw[wide:]
elif how == "zeros":  # a quarter of a row
    raw = bytes(wide // 4) + raw[wide // 4:]
else:  # a token's sums, of half size again
    codes = struct.unpack("<%dH" % shape[1], raw[:wide])
    more = [struct.unpack("<f", struct.pack("<I", c << 16))[0] * 1.5
            for c in codes]
    raw = struct.pack("<%dH" % shape[1],
                      *(struct.unpack("<I", struct.pack("<f", x))[0] >> 16
                        for x in more)) + raw[wide:]
T.write(to, {"output": (kind, shape, raw)})
END

# coded USE FORMAT
coded() {
    local numerics how
    rm -rf "$work/own" "$work/plain"
    expect 0 "$MOESIM" golden -q "$work/in.yaml" --set "methods=[$1]" \
        -o "$work/plain"
    says "partial sums travel as $2"
    holds "$work/plain/manifest.json" "r['combine']['format'] == '$2'"
    for numerics in $(some exact "exact faithful"); do
        rm -rf "$work/own"
        expect 0 "$MOESIM" run -q "$work/in.yaml" --golden --set "methods=[$1]" \
            --numerics $numerics -o "$work/own"
        expect 0 "$MOESIM" check -q "$work/own/golden" "$work/own/golden"
        expect 0 "$MOESIM" check "$work/plain" "$work/own/golden" \
            --json "$work/check.json"
        holds "$work/check.json" "any(f['tensor'] == 'output' and
            f['relative_l2'] > 1e-3 for f in r['findings'])"
    done
    for how in moved zeros larger; do
        "$PYTHON" "$work/spoil.py" $how \
            "$work/own/golden/rank-0000.safetensors" "$work/got.safetensors"
        expect 1 "$MOESIM" check "$work/own/golden" "$work/got.safetensors" \
            --only-rank 0
    done
}
export top_srcdir
coded '{trtllm_alltoall: {dispatch: bf16, combine: fp8_tensor}}' fp8_tensor
coded '{trtllm_alltoall: {dispatch: bf16, sides: two_sided, combine: nvfp4}}' nvfp4
coded '{alltoallv: {dispatch: bf16, combine: int8_1x8}}' int8_1x8
coded '{deepep_ll: {dispatch: bf16, combine: logfmt10, limits: off}}' logfmt10

# a manifest that says it wrongly
for wrong in '{"format": "bf16"}' '{"format": "fp8_tensor"}' '[]'; do
    "$PYTHON" -c '
import json, sys
m = json.load(open(sys.argv[1]))
m["combine"] = json.loads(sys.argv[2])
json.dump(m, open(sys.argv[1], "w"))' "$work/plain/manifest.json" "$wrong"
    expect 2 "$MOESIM" check "$work/plain" "$work/own/golden"
    says 'manifest.json:[0-9:]+ combine: '
done
finish
