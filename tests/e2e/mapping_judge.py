# SPDX-License-Identifier: Apache-2.0
"""mapping_judge.py GOLDEN REPORT MISTAKE[@RANK]: the outputs of a run whose
kernels take experts' numbers for others; GOLDEN is the right layer."""
import json
import math
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tensors as T  # noqa: E402

GOLDEN, REPORT, MISTAKE = sys.argv[1:]
NAME, _, ONLY = MISTAKE.partition("@")
RANKS = 4


def read(rank):
    return T.read("%s/rank-%04d.safetensors" % (GOLDEN, rank))


def join(name):
    """A tensor of all ranks, one behind the other."""
    parts = [read(r)[name] for r in range(RANKS)]
    return (parts[0][0], (sum(p[1][0] for p in parts),) + parts[0][1][1:],
            b"".join(p[2] for p in parts))


def number(word):
    return struct.unpack("<f", struct.pack("<I", word << 16))[0]


def bf16(x):
    """Nearest even, where x is no midpoint of floats."""
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16


def experts_rows(hidden, experts):
    """Row of each (token, expert)."""
    n, cols = hidden[1]
    given = {"hidden": hidden,
             "topk_ids": T.pack("I32", (n, experts), list(range(experts)) * n),
             "topk_weights": T.pack("F32", (n, experts), [1.0] * n * experts)}
    for w in ("w13", "w2"):
        given[w], given[w + ".scale"] = join(w), join(w + ".scale")
        given[w + ".decode_scale"] = read(0)[w + ".decode_scale"]
    out = T.op("moe-layer", given, MODEL, "dispatch=bf16")
    rows = [number(w) for w in T.values(out["gemm2_out"])]
    return {(i % n, i // n): rows[i * cols:][:cols]
            for i in range(n * experts)}


def local(rank, expert, each):
    """The expert that a rank takes a number for, or None."""
    first = rank * each
    here = first <= expert < first + each
    if ONLY not in ("", str(rank)):
        return expert if here else None
    if NAME == "global-ids-for-local":
        return first + expert if expert < each else None
    return expert if here else first + each - 1


def outputs(rows, right):
    tokens, k = join("topk_ids")[1]
    ids = T.values(join("topk_ids"))
    weights = T.values(join("topk_weights"))
    each = EXPERTS // RANKS
    out = []
    for t in range(tokens):
        terms = []
        for s in range(t * k, (t + 1) * k):
            meant = ([ids[s]] if right else
                     [local(r, ids[s], each) for r in range(RANKS)])
            terms += [(weights[s], rows[t, e]) for e in meant if e is not None]
        out += [bf16(math.fsum(w * y[c] for w, y in terms))
                for c in range(len(rows[0, 0]))]
    return out


EXPERTS = 16  # of scenarios/tutorial/first.yaml
MODEL = ("model={hidden: 256, intermediate: 128, experts: 16, topk: 16, "
         "score: sigmoid, renormalize: true}")
ROWS = experts_rows(join("hidden"), EXPERTS)
RIGHT = outputs(ROWS, True)
WRONG = outputs(ROWS, False)


def check(good, what):
    print("%s: %s: %s" % ("pass" if good else "FAIL", MISTAKE, what))


check(RIGHT == T.values(join("output")), "the right sums are the golden ones")
size = math.fsum(number(w) ** 2 for w in RIGHT) ** 0.5
l2 = math.fsum((number(a) - number(b)) ** 2
               for a, b in zip(RIGHT, WRONG)) ** 0.5 / size
differ = sum(number(a) != number(b) for a, b in zip(RIGHT, WRONG))
for m in json.load(open(REPORT + "/report.json"))["methods"]:
    check(m["elements_mismatching"] == differ > 0 and
          abs(m["relative_l2"] - l2) < 1e-9 * l2,
          "%s: %d elements differ by %r, here %d by %r"
          % (m["label"], m["elements_mismatching"], m["relative_l2"], differ,
             l2))
