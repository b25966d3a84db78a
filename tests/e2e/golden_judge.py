# SPDX-License-Identifier: Apache-2.0
"""golden_judge.py GOLDEN WORK: each tensor of a golden folder (weights local)
made again by `moesim op` from the one before it."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tensors as T  # noqa: E402

golden, work = sys.argv[1:3]
manifest = json.load(open(golden + "/manifest.json"))
failed = 0


def check(good, what):
    global failed
    failed += not good
    print("%s: %s" % ("pass" if good else "FAIL", what))


def op(name, tensors, *options):
    a, b = work + "/a.safetensors", work + "/b.safetensors"
    T.write(a, tensors)
    subprocess.run([os.environ["MOESIM"], "op", name, "--in", a, "--out", b,
                    *options], check=True)
    return T.read(b)


def same(got, want, what):
    check(got[1:] == want[1:] and len(want[2]) > 0, what)


def quantised(x, scale, r, name, what):
    y = op("quantize", {"x": x}, "--to", "nvfp4", "--set",
           "global_scale=%s" % scale)
    same(y["y"], r[name], what)
    same(y["y.scale"], r[name + ".scale"], what + ".scale")


def matmul(r, x, w, scale, offset):
    return op("grouped-matmul", {
        "x": r[x], "x.scale": r[x + ".scale"],
        "x.decode_scale": T.pack("F32", (1,), [1 / scale]),
        "w": r[w], "w.scale": r[w + ".scale"],
        "w.decode_scale": r[w + ".decode_scale"],
        "offset": offset}, "--from", "nvfp4")["out"]


ranks = [T.read("%s/%s" % (golden, e["file"])) for e in manifest["ranks"]]
ids = ("I32", (16, 3), b"".join(r["topk_ids"][2] for r in ranks))
weights = ("F32", (16, 3), b"".join(r["topk_weights"][2] for r in ranks))
rows = {"dispatch": ("F4", (16, 128),
                     b"".join(r["dispatch"][2] for r in ranks)),
        "dispatch.scale": ("F8_E4M3", (16, 8),
                           b"".join(r["dispatch.scale"][2] for r in ranks))}
down = []
for entry, r in zip(manifest["ranks"], ranks):
    first, end = entry["experts"]
    bits = [c & 0x7fff for c in T.values(r["hidden"])]
    check(max(bits) > 0, "hidden")
    quantised(r["hidden"], 672, r, "dispatch", "dispatch")
    moved = op("permute", {"x": rows["dispatch"],
                           "x.scale": rows["dispatch.scale"], "topk_ids": ids},
               "--from", "nvfp4", "--set", "experts=%d" % (end - first),
               "--set", "first_expert=%d" % first)
    same(moved["rows"], r["expert_in"], "expert_in")
    same(moved["rows.scale"], r["expert_in.scale"], "expert_in.scale")
    same(moved["expert"], r["expert"], "expert")
    same(moved["slot"], r["slot"], "slot")
    check([t - (11 if k else 0) for t, k in
           zip(T.values(moved["source_row"]), T.values(r["src_rank"]))] ==
          T.values(r["src_token"]), "src_rank, src_token")
    up = matmul(r, "expert_in", "w13", 672, moved["offset"])
    same(up, r["gemm1_out"], "gemm1_out")
    act = op("activation", {"x": up})["out"]
    same(act, r["act_out"], "act_out")
    quantised(act, 42, r, "gemm2_in", "gemm2_in")
    out = matmul(r, "gemm2_in", "w2", 42, moved["offset"])
    same(out, r["gemm2_out"], "gemm2_out")
    total = op("unpermute", {"rows": out, "place": moved["place"],
                             "topk_weights": weights})["out"]
    same(total, r["combine"], "combine")
    down.append((out, T.values(moved["place"])))

# the output: rows of all ranks' experts under one index
both = ("BF16", (down[0][0][1][0] + down[1][0][1][0], 128),
        down[0][0][2] + down[1][0][2])
place = [a if a >= 0 else b + down[0][0][1][0]
         for a, b in zip(down[0][1], down[1][1])]
total = op("unpermute", {"rows": both, "place": T.pack("I64", (16, 3), place),
                         "topk_weights": weights})["out"]
check(total[2] == ranks[0]["output"][2] + ranks[1]["output"][2], "output")
sys.exit(failed != 0)
