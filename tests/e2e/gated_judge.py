# SPDX-License-Identifier: Apache-2.0
"""gated_judge.py: golden folders of gates with capacity, by what DeepSpeed's
test published and by the rules of doc/numerics.md in float64.

published NAME LABEL FOLDER     one rank, against gating_vectors.py
rules PLAIN FOLDER DROP C       every rank of FOLDER from the ids and logits of
                                PLAIN, of the same layer without a gate
spoil IN OUT CHANGE [NAMES]     a rank's file with a mistake; these tensors
same IN OUT TOKENS              hidden states and gate, all tokens the first
trade IN OUT                    the last token of an expert takes the row of the
                                first: kept pairs of tokens that are the same
"""
import json
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import gating_vectors as V  # noqa: E402
import tensors as T  # noqa: E402

NONE = -1


def rows(tensor):
    values, k = T.values(tensor), tensor[1][1]
    return [values[i:i + k] for i in range(0, len(values), k)]


def near(a, b):
    return abs(a - b) <= 3e-7 * abs(b)


def hold_pairs(rank, kept):
    """Who the pairs are, and that their rows are their tokens'."""
    who = sorted((e, t, s) for t, e, s in kept)
    names = [T.values(rank[n]) for n in ("expert", "src_token", "slot")]
    width = len(rank["dispatch"][2]) // max(rank["dispatch"][1][0], 1)

    assert list(zip(*names)) == who, (names, who)
    assert T.values(rank["valid_rows"]) == [len(who)]
    for i, (_, t, _) in enumerate(who):
        assert rank["expert_in"][2][i * width:(i + 1) * width] == \
            rank["dispatch"][2][t * width:(t + 1) * width]


def published(name, label, folder):
    manifest = json.load(open(folder + "/manifest.json"))
    rank = T.read(folder + "/rank-0000.safetensors")
    capacity, triples = V.PUBLISHED[name, label]
    probs = [V.softmax(r) for r in V.LOGITS[name]]
    ids, location = rows(rank["topk_ids"]), rows(rank["location"])
    weights = rows(rank["topk_weights"])
    chosen = V.choices(probs, V.K[name])
    got = {(t, e, location[t][s]): weights[t][s]
           for t, row in enumerate(ids) for s, e in enumerate(row) if e >= 0}
    want = V.weights(probs, triples)

    assert manifest["gate"]["capacity"] == capacity, manifest["gate"]
    assert manifest["ranks"][0]["pairs"] == len(triples)
    assert sorted(got) == triples, got
    assert all(abs(got[t] - want[t]) < 2e-7 for t in triples), (got, want)
    for t, row in enumerate(ids):
        assert [e for e in row if e >= 0] == \
            [e for e in chosen[t] if e in row], (row, chosen[t])
        assert all((e == NONE) == (location[t][s] == NONE) and
                   (e != NONE or weights[t][s] == 0)
                   for s, e in enumerate(row))
    assert T.values(rank["expert_counts"]) == [
        sum(e in c for c in chosen) for e in range(len(probs[0]))]
    assert abs(T.values(rank["aux_loss"])[0] -
               V.loss(probs, chosen, V.K[name])) < 3e-7
    hold_pairs(rank, [(t, e, ids[t].index(e)) for t, e, _ in triples])


def gate(chosen, scores, drop, c):
    """Kept ids and rows of a rank: the first C of an expert, or the best."""
    left = [[NONE] * len(row) for row in chosen]
    location = [[NONE] * len(row) for row in chosen]
    for e in range(len(scores[0]) if scores else 0):
        pairs = [(t, s) for t, row in enumerate(chosen)
                 for s, x in enumerate(row) if x == e]
        if drop == "probs":
            best = sorted(pairs, key=lambda p: -scores[p[0]][e])[:c]
            pairs = [p for p in pairs if p in best]
        for i, (t, s) in enumerate(pairs[:c]):
            left[t][s], location[t][s] = e, i
    return left, location


def rules(plain, folder, drop, c):
    lost = 0
    for entry in json.load(open(folder + "/manifest.json"))["ranks"]:
        a, b = (T.read("%s/%s" % (f, entry["file"])) for f in (plain, folder))
        chosen = rows(a["topk_ids"])
        scores = [V.softmax(r) for r in rows(a["logits"])]
        left, location = gate(chosen, scores, drop, int(c))
        out = rows(b["output"])
        k = b["topk_ids"][1][1]

        assert a["logits"] == b["logits"]
        assert rows(b["topk_ids"]) == left, entry
        assert rows(b["location"]) == location
        assert T.values(b["expert_counts"]) == [
            sum(e in row for row in chosen)
            for e in range(b["logits"][1][1])]
        loss = V.loss(scores, chosen, k) if scores else 0
        assert near(T.values(b["aux_loss"])[0], loss)
        for t, row in enumerate(rows(b["topk_weights"])):
            total = sum(scores[t][e] for e in left[t] if e >= 0)
            assert all(near(w, scores[t][e] / total) if e >= 0 else w == 0
                       for w, e in zip(row, left[t])), (row, left[t])
            alone = all(e == NONE for e in left[t])
            lost += alone
            assert alone == (not any(out[t]))
    assert lost > 0, "no token lost all: the test shows less"


def next_float(x):
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    return struct.unpack("<f", struct.pack("<I", bits + 1))[0]


def spoil(source, target, change, names=None):
    r = T.read(source)
    ids, weights, location = (T.values(r[n]) for n in
                              ("topk_ids", "topk_weights", "location"))
    k = r["topk_ids"][1][1]
    whole = [i for i, e in enumerate(ids)
             if NONE not in ids[i // k * k:i // k * k + k]]
    if change == "keeps":  # a dropped pair, of the first token that has one
        at = ids.index(NONE)
        used = ids[at // k * k:at // k * k + k]
        ids[at] = min(set(range(r["logits"][1][1])) - set(used))
        print(at // k, at % k, ids[at])
    elif change == "drops":  # a pair of a token that kept all
        at = whole[0]
        print(at // k, at % k, ids[at])
        ids[at], weights[at], location[at] = NONE, 0.0, NONE
    elif change == "ulp":
        weights = [next_float(w) if w > 0 else w for w in weights]
    elif change == "routed":  # weights as if nothing had been dropped
        at = next(i for i, e in enumerate(ids) if e >= 0 and i not in whole)
        weights[at] /= 2
        print(at // k)
    elif change == "columns":
        ids, weights, location = (
            [v[t + k - 1 - j] for t in range(0, len(v), k) for j in range(k)]
            for v in (ids, weights, location))
    elif change == "location":
        location[whole[0]] += 1
    elif change in ("expert_counts", "aux_loss"):
        v = T.values(r[change])
        v[-1] = v[-1] * 1.0001 if change == "aux_loss" else v[-1] + 1
        r[change] = T.pack(r[change][0], r[change][1], v)
    elif change != "none":
        raise SystemExit(change)
    for name, v in (("topk_ids", ids), ("topk_weights", weights),
                    ("location", location)):
        r[name] = T.pack(r[name][0], r[name][1], v)
    T.write(target, {n: t for n, t in r.items()
                     if names is None or n in names.split(",")})


def same(source, target, tokens):
    r = T.read(source)
    width = len(r["hidden"][2]) // r["hidden"][1][0]
    r["hidden"] = ("BF16", (int(tokens), r["hidden"][1][1]),
                   r["hidden"][2][:width] * int(tokens))
    T.write(target, r)


def trade(source, target):
    r = T.read(source)
    for name in ("topk_ids", "topk_weights", "location"):
        out = rows(r[name])
        out = out[::-1]
        if name == "location":
            out = [[NONE if x == NONE else 1 - x for x in row] for row in out]
        r[name] = T.pack(r[name][0], r[name][1], sum(out, []))
    T.write(target, {n: r[n] for n in
                     ("topk_ids", "topk_weights", "location")})


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
