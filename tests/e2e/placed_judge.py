# SPDX-License-Identifier: Apache-2.0
"""placed_judge.py LINEAR PLACED REPLICAS: a golden folder (weights local) of
placed experts has the rows of the folder of experts in order, where its map
and the rule for replicas say; sums over a rank's experts are added up here."""
from fractions import Fraction
import json
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tensors as T  # noqa: E402

PAIRED = ("expert_in", "gemm1_out", "act_out", "gemm2_in", "gemm2_out")
WEIGHTS = ("w13", "w13.scale", "w13.decode_scale", "w13.bias", "w2",
           "w2.scale", "w2.decode_scale", "w2.bias")
linear, placed, replicas = sys.argv[1:4]
failed = 0


def check(good, what):
    global failed
    failed += not good
    print("%s: %s" % ("pass" if good else "FAIL", what))


def load(folder):
    manifest = json.load(open(folder + "/manifest.json"))
    return manifest, [T.read("%s/%s" % (folder, e["file"]))
                      for e in manifest["ranks"]]


def rows(tensor):
    n = tensor[1][0]
    size = len(tensor[2]) // n if n else 0
    return [tensor[2][i * size:(i + 1) * size] for i in range(n)]


def bf16(x):
    """Codes of an exact number, rounded to nearest even."""
    if x == 0:
        return {0, 0x8000}
    magnitude, shift = abs(x), 0
    while magnitude >= 256:
        magnitude, shift = magnitude / 2, shift + 1
    while magnitude < 128:
        magnitude, shift = magnitude * 2, shift - 1
    code = struct.unpack("<I", struct.pack(
        "<f", float(round(magnitude)) * 2.0 ** shift))[0] >> 16
    return {code | (0x8000 if x < 0 else 0)}


def wide(code):
    return Fraction(struct.unpack("<f", struct.pack("<I", code << 16))[0])


old, ranks_of_old = load(linear)
new, ranks = load(placed)
holds = new["physical_to_logical"]
k = ranks[0]["topk_ids"][1][1]
check("physical_to_logical" not in old and
      not {"physical_ids", "physical_expert"} & set(ranks_of_old[0]),
      "a folder of experts in order has none of it")

# the same layer: what the tokens have, and what comes out
for name in ("hidden", "logits", "topk_ids", "topk_weights", "dispatch",
             "dispatch.scale", "output", "router", "bias"):
    check(all(a[name] == b[name] for a, b in zip(ranks_of_old, ranks)),
          name + " is that of experts in order")

# where each choice goes
chosen, ids = {}, {}
for r, file in enumerate(ranks):
    experts, slots = T.values(file["topk_ids"]), T.values(file["physical_ids"])
    check(file["physical_ids"][1] == file["topk_ids"][1], "physical_ids")
    for i, (expert, slot) in enumerate(zip(experts, slots)):
        token = new["ranks"][r]["tokens"][0] + i // k
        copies = [p for p, e in enumerate(holds) if e == expert]
        turn = {"source": r, "round_robin": token, "first": 0}[replicas]
        if slot != copies[turn % len(copies)]:
            check(False, "token %d, expert %d in slot %d of %s" %
                  (token, expert, slot, copies))
        chosen.setdefault(slot, []).append((token, r, i // k, i % k, expert))
        ids[token, i % k] = slot

# rows of experts in order, by token and expert
row = {}
weight = {}
for entry, file in zip(old["ranks"], ranks_of_old):
    who = list(zip(T.values(file["src_rank"]), T.values(file["src_token"]),
                   T.values(file["expert"])))
    for name in file:
        if name.split(".")[0] in PAIRED and not name.endswith("decode_scale"):
            for key, data in zip(who, rows(file[name])):
                row[name, key] = data
    first, end = entry["experts"]
    for name in WEIGHTS:
        for e, data in zip(range(first, end), rows(file[name])):
            weight[name, e] = data

for entry, file in zip(new["ranks"], ranks):
    first, end = entry["experts"]
    pairs = [(p,) + c for p in range(first, end)
             for c in sorted(chosen.get(p, []))]
    check(len(pairs) == entry["pairs"] and
          [c[0] for c in pairs] == T.values(file["physical_expert"]) and
          [c[2] for c in pairs] == T.values(file["src_rank"]) and
          [c[3] for c in pairs] == T.values(file["src_token"]) and
          [c[4] for c in pairs] == T.values(file["slot"]) and
          [c[5] for c in pairs] == T.values(file["expert"]),
          "rank %d: %d pairs, by slot, then token" % (entry["rank"],
                                                      len(pairs)))
    for name in file:
        if name.split(".")[0] in PAIRED and not name.endswith("decode_scale"):
            check(rows(file[name]) == [row[name, (c[2], c[3], c[5])]
                                       for c in pairs],
                  "rank %d: rows of %s" % (entry["rank"], name))
    for name in WEIGHTS:
        check(rows(file[name]) == [weight[name, holds[p]]
                                   for p in range(first, end)],
              "rank %d: %s of its slots" % (entry["rank"], name))
    # its partial sums
    share = [bytes(r) for r in rows(file["combine"])]
    hidden = file["combine"][1][1]
    sums = [[Fraction(0)] * hidden for _ in share]
    for c, data in zip(pairs, rows(file["gemm2_out"])):
        w = Fraction(struct.unpack("<f", ranks[c[2]]["topk_weights"][2][
            4 * (c[3] * k + c[4]):][:4])[0])
        for h, code in enumerate(struct.unpack("<%dH" % hidden, data)):
            sums[c[1]][h] += w * wide(code)
    check(all(code in bf16(x) for s, data in zip(sums, share)
              for x, code in zip(s, struct.unpack("<%dH" % hidden, data))),
          "rank %d: sums over its slots" % entry["rank"])
check(sum(e["pairs"] for e in new["ranks"]) ==
      sum(e["pairs"] for e in old["ranks"]) == len(ids), "no pair is lost")
sys.exit(failed != 0)
