# SPDX-License-Identifier: Apache-2.0
"""gating_vectors.py NAME REPORT: a run's gates against DeepSpeed's own test of
topkgating (tests/unit/v1/moe/test_moe.py, class TestTopkGate): its logits and
kept (token, expert, row) triples; weights and auxiliary loss by the formulas of
sharded_moe.py, added up here in float64."""
import json
import math
import sys

LOGITS = {
    "deepspeed-gating": [
        [0.11, 0.2, 0.1, 0.3], [0.3, 0.4, 0.11, 0.1],
        [0.11, 0.1, 0.6, 0.5], [0.1, 0.11, 0.7, 0.8]],
    "deepspeed-gating-k3": [
        [0.5858, 0.4801, 0.6269, 0.5397, 0.9722, 0.7034],
        [0.5445, 0.6332, 0.4519, 0.6308, 0.0519, 0.6450],
        [0.4874, 0.8110, 0.7467, 0.8474, 0.0277, 0.3068],
        [0.8570, 0.6714, 0.5310, 0.3274, 0.4836, 0.9892]],
    "deepspeed-gating-keep": [
        [0.95, 0.85, 0.90, 0.80], [0.70, 0.65, 0.75, 0.60],
        [0.50, 0.55, 0.45, 0.40], [0.35, 0.30, 0.25, 0.20]],
}
K = {"deepspeed-gating": 2, "deepspeed-gating-k3": 3,
     "deepspeed-gating-keep": 2}
# (scenario, label): capacity and triples
PUBLISHED = {
    ("deepspeed-gating", "probs"): (2, [
        (0, 1, 0), (1, 0, 0), (1, 1, 1), (2, 2, 0), (2, 3, 0), (3, 2, 1),
        (3, 3, 1)]),
    ("deepspeed-gating", "position"): (2, [
        (0, 1, 0), (0, 3, 0), (1, 0, 0), (1, 1, 1), (2, 2, 0), (2, 3, 1),
        (3, 2, 1)]),
    ("deepspeed-gating-k3", "probs"): (2, [
        (0, 2, 0), (0, 4, 0), (1, 1, 0), (1, 3, 0), (1, 5, 0), (2, 1, 1),
        (2, 2, 1), (2, 3, 1), (3, 0, 0), (3, 5, 1)]),
    ("deepspeed-gating-k3", "position"): (2, [
        (0, 2, 0), (0, 4, 0), (0, 5, 0), (1, 1, 0), (1, 3, 0), (1, 5, 1),
        (2, 1, 1), (2, 2, 1), (2, 3, 1), (3, 0, 0)]),
    ("deepspeed-gating-keep", "keep"): (4, [
        (0, 0, 0), (0, 2, 0), (1, 0, 1), (1, 2, 1), (2, 0, 2), (2, 1, 0),
        (3, 0, 3), (3, 1, 1)]),
}


def softmax(row):
    e = [math.exp(x) for x in row]
    return [x / sum(e) for x in e]


def weights(probs, triples):
    """Renormalised over the experts that a token keeps."""
    kept = {t: sum(probs[t][e] for s, e, _ in triples if s == t)
            for t, _, _ in triples}
    return {(t, e, c): probs[t][e] / kept[t] for t, e, c in triples}


def choices(probs, k):
    return [sorted(range(len(p)), key=lambda e: -p[e])[:k] for p in probs]


def loss(probs, chosen, k):
    """mean over experts of me ce, times E E / k."""
    s, n = len(probs), len(probs[0])
    me = [sum(p[e] for p in probs) / s for e in range(n)]
    ce = [sum(e in c for c in chosen) / s for e in range(n)]
    return sum(a * b for a, b in zip(me, ce)) / n * n * n / k


def hold(name, method):
    capacity, triples = PUBLISHED[name, method["label"]]
    gating, probs = method["gating"], [softmax(r) for r in LOGITS[name]]
    chosen = choices(probs, K[name])
    got = {(p["token"], p["expert"], p["row"]): p["weight"]
           for p in gating["pairs"]}
    want = weights(probs, triples)
    n = len(probs[0])

    assert gating["mismatching"] == 0
    assert gating["capacity"] == capacity, gating["capacity"]
    assert sorted(got) == triples, got
    assert gating["kept"] == [len(triples)], gating["kept"]
    assert gating["dropped"] == [4 * K[name] - len(triples)]
    assert gating["expert_counts"] == [
        sum(e in c for c in chosen) for e in range(n)]
    assert all(abs(got[t] - want[t]) < 2e-7 for t in triples), (got, want)
    assert abs(gating["aux_loss"][0] - loss(probs, chosen, K[name])) < 3e-7


def main(name, report):
    r = json.load(open(report))
    held = [m for m in r["methods"] if (name, m["label"]) in PUBLISHED]
    want = [label for n, label in PUBLISHED if n == name]

    assert [m["label"] for m in held] == want, held
    assert len(r["published"]) == 2 * len(want)
    assert all(p["ratio"] == 1 for p in r["published"]), r["published"]
    for method in held:
        hold(name, method)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
