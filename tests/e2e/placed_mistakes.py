# SPDX-License-Identifier: Apache-2.0
"""placed_mistakes.py GOLDEN OUT: what wrong kernels make on rank 1 of a golden
folder of placed experts (weights local), by `moesim op`."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tensors as T  # noqa: E402

golden, out = sys.argv[1:3]
RANK = 1
os.makedirs(out)
manifest = json.load(open(golden + "/manifest.json"))
ranks = [T.read("%s/%s" % (golden, e["file"])) for e in manifest["ranks"]]
own = ranks[RANK]
n_local = own["w13"][1][0]
n_tokens = manifest["ranks"][RANK]["all_tokens"][1]
topk = own["topk_ids"][1][1]
WEIGHTS = ("%s", "%s.scale", "%s.decode_scale", "%s.bias")


def op(name, tensors, *options):
    a, b = out + "/a.safetensors", out + "/b.safetensors"
    T.write(a, tensors)
    subprocess.run([os.environ["MOESIM"], "op", name, "--in", a, "--out", b,
                    *options], check=True)
    return T.read(b)


def offsets(slots, first):
    return T.pack("I64", (n_local + 1,), [
        sum(s < first + e for s in slots) for e in range(n_local + 1)])


def rolled(tensor):
    """The next expert's."""
    size = len(tensor[2]) // tensor[1][0]
    return tensor[:2] + (tensor[2][size:] + tensor[2][:size],)


def matmul(x, w, offset):
    return op("grouped-matmul", dict(x, offset=offset, **{
        dst: w[src] for dst, src in w["names"]}), "--from", "nvfp4")["out"]


def weights(name, change=lambda t: t):
    """Of this rank, as grouped-matmul has them."""
    w = {s % name: change(own[s % name]) for s in WEIGHTS[:3]}
    w["names"] = [("w", name), ("w.scale", name + ".scale"),
                  ("w.decode_scale", name + ".decode_scale")]
    w["bias"] = change(own[name + ".bias"])
    w["names"].append(("bias", "bias"))
    return w


def operand(r, name):
    return {"x": r[name], "x.scale": r[name + ".scale"],
            "x.decode_scale": r[name + ".decode_scale"]}


def names(r):
    return {n: r[n] for n in ("src_rank", "src_token", "slot", "expert",
                              "physical_expert", "valid_rows")}


first = manifest["ranks"][RANK]["experts"][0]
wrong = matmul(operand(own, "expert_in"), weights("w13", rolled),
               offsets(T.values(own["physical_expert"]), first))
T.write(out + "/off-by-one-expert.safetensors",
        dict(names(own), expert_in=own["expert_in"], gemm1_out=wrong,
             **{"expert_in.scale": own["expert_in.scale"]}))

# slots 0, 1, .. are taken for the first local ones, whoever has them
other = ranks[0]
slots = T.values(other["physical_expert"])
offset = offsets(slots, 0)
up = matmul(operand(other, "expert_in"), weights("w13"), offset)
act = op("activation", {"x": up})["out"]
scale = 1 / T.values(other["gemm2_in.decode_scale"])[0]
y = op("quantize", {"x": act}, "--to", "nvfp4", "--set",
       "global_scale=%.9g" % scale)
down = matmul({"x": y["y"], "x.scale": y["y.scale"],
               "x.decode_scale": other["gemm2_in.decode_scale"]},
              weights("w2"), offset)
place = [-1] * (n_tokens * topk)
for i, (r, t, s) in enumerate(zip(*(T.values(other[n]) for n in (
        "src_rank", "src_token", "slot")))):
    place[(manifest["ranks"][r]["tokens"][0] + t) * topk + s] = i
total = op("unpermute", {
    "rows": down, "place": T.pack("I64", (n_tokens, topk), place),
    "topk_weights": ("F32", (n_tokens, topk), b"".join(
        r["topk_weights"][2] for r in ranks))})["out"]
T.write(out + "/global-ids-for-local.safetensors", {"combine": total})
