#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every router family, and a whole layer, against numpy in float64.

Nothing here is moesim's but the calls of `moesim op`. float64 has no rounding
in between, so ids are compared where choices (and groups) lie farther apart
than fp32 rounding could move them, weights to 2^-20, the layer to what bf16
stages may cost. Skipped without numpy, unless MOESIM_REQUIRE_DATA is 1.
"""
import os
import sys

try:
    import numpy as np
except ImportError as error:
    print(f"{error}: pip install numpy")
    sys.exit(1 if os.environ.get("MOESIM_REQUIRE_DATA") == "1" else 77)

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "e2e"))
import tensors as T  # noqa: E402

TOKENS, EXPERTS, TOPK = 300, 64, 6
NEAR = 2e-6  # fp32 rounding of scores, sums of two and biases of this size
draw = np.random.default_rng(7667)

# score, groups, kept, limit, bias, renormalised
FAMILIES = {
    "Mixtral": ("softmax", 1, 1, "top2_sum", False, True),
    "Qwen1.5, not renormalised": ("softmax", 1, 1, "top2_sum", False, False),
    "gpt-oss": ("softmax_chosen", 1, 1, "top2_sum", True, False),
    "DeepSeek-V2": ("softmax", 8, 3, "max", False, False),
    "DeepSeek-V3": ("sigmoid", 8, 4, "top2_sum", True, True),
    "Kimi-K2": ("sigmoid", 1, 1, "top2_sum", True, True),
    "Llama-4": ("sigmoid", 1, 1, "top2_sum", False, False),
    "DeepSeek-V4": ("sqrt_softplus", 1, 1, "top2_sum", True, True),
    "Pangu": ("softmax", 2, 2, "each", False, True),
}


def f32(x):
    return "F32", x.shape, x.astype("<f4").tobytes()


def array(tensor, kind):
    return np.frombuffer(tensor[2], kind).reshape(tensor[1])


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


SCORES = {"softmax": softmax, "softmax_chosen": lambda x: x,
          "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
          "sqrt_softplus": lambda x: np.sqrt(np.log1p(np.exp(x)))}


def best(choice, n):
    """The n largest of each row in order, and the least gap among them and to
    the next."""
    order = np.argsort(-choice, axis=-1, kind="stable")
    top = np.take_along_axis(choice, order, -1)
    top = np.concatenate([top, np.full_like(top[:, :1], -1e9)], -1)
    return order[:, :n], -np.diff(top[:, :n + 1]).max(-1)


def route(logits, bias, family):
    """Experts, weights (not scaled), and rows that rounding cannot move."""
    score, groups, kept, limit, _, renormalize = family
    s = SCORES[score](logits)
    choice = s + bias
    grouped = choice.reshape(len(s), groups, -1)
    sure = np.full(len(s), True)
    if limit == "each":
        each = TOPK // groups
        parts = [best(grouped[:, g], each) for g in range(groups)]
        ids = np.concatenate([p[0] + g * grouped.shape[-1]
                              for g, p in enumerate(parts)], -1)
        sure = np.min([p[1] for p in parts], 0) > NEAR
    else:
        if kept < groups:
            ranked = np.sort(grouped, -1)
            value = (ranked[..., -1] if limit == "max"
                     else ranked[..., -2:].sum(-1))
            keep, _ = best(value, kept)
            ordered = np.sort(value, -1)
            sure &= ordered[:, -kept] - ordered[:, -kept - 1] > NEAR
            mask = np.zeros_like(value, bool)
            np.put_along_axis(mask, keep, True, -1)
            choice = np.where(mask[..., None], grouped, -1e9)
            choice = choice.reshape(s.shape)
        ids, gap = best(choice, TOPK)
        sure &= gap > NEAR
    weights = np.take_along_axis(choice if score == "softmax_chosen" else s,
                                 ids, -1)
    if score == "softmax_chosen":
        weights = softmax(weights)
    if renormalize:
        weights = weights / weights.sum(-1, keepdims=True)
    return ids, weights, sure


def check_router(name, family):
    score, groups, kept, limit, biased, renormalize = family
    logits = draw.standard_normal((TOKENS, EXPERTS), np.float32) * 2
    bias = draw.standard_normal(EXPERTS, np.float32) / 4 * biased
    given = {"logits": f32(logits)}
    if biased:
        given["bias"] = f32(bias)
    out = T.op("route", given, f"score={score}", f"n_group={groups}",
               f"topk_group={kept}", f"group_limit={limit}", f"topk={TOPK}",
               f"renormalize={str(renormalize).lower()}", "routed_scaling=2.5")
    ids, weights, sure = route(logits.astype(float), bias.astype(float),
                               family)
    got = array(out["topk_weights"], "<f4").astype(float)
    assert sure.mean() > 0.95, (name, sure.mean())
    assert (array(out["topk_ids"], "<i4")[sure] == ids[sure]).all(), name
    error = np.abs(got - 2.5 * weights)[sure] / (2.5 * weights[sure])
    assert error.max() < 2.0 ** -20, (name, error.max())


def bf16(shape, size):
    """Codes and values of random numbers."""
    x = draw.standard_normal(shape, np.float32) * np.float32(size)
    codes = (x.view(np.uint32) >> 16).astype("<u2")
    return (("BF16", shape, codes.tobytes()),
            (codes.astype(np.uint32) << 16).view(np.float32).astype(float))


E2M1 = np.array([0, .5, 1, 1.5, 2, 3, 4, 6])


def check_decode_scale(hidden, xv, model, given):
    """code x scale x decode_scale is hidden, to half a step of E2M1 (at most
    1 of 6) and of the scale (1 of 16)."""
    out = T.op("moe-layer", given, model, "dispatch=nvfp4",
               "precision.expert_in=bf16", "precision.weights=bf16",
               "precision.gemm2_in=bf16")
    codes = array(("U8", (len(xv), hidden // 2), out["dispatch"][2]), "u1")
    codes = np.stack([codes & 15, codes >> 4], -1).reshape(xv.shape)
    scale = array(out["dispatch.scale"], "u1").astype(float)
    scale = (8 + scale % 8) * 2.0 ** (scale // 8 - 10)  # E4M3, normal ones
    value = E2M1[codes % 8] * np.where(codes < 8, 1, -1)
    value *= scale.repeat(16, -1) * array(out["dispatch.decode_scale"], "<f4")
    largest = np.abs(xv).reshape(len(xv), -1, 16).max(-1).repeat(16, -1)
    assert (np.abs(value - xv) <= largest * (1 / 6 + 1 / 16)).all()


def check_layer():
    tokens, hidden, inner, experts, topk = 33, 128, 64, 16, 4
    x, xv = bf16((tokens, hidden), 1)
    router, rv = bf16((experts, hidden), hidden ** -0.5)
    w13, v13 = bf16((experts, 2 * inner, hidden), hidden ** -0.5)
    w2, v2 = bf16((experts, hidden, inner), inner ** -0.5)
    bias = draw.standard_normal(experts, np.float32) / 8
    given = {"hidden": x, "router": router, "bias": f32(bias), "w13": w13,
             "w2": w2}
    model = (f"model={{name: x, source: t, hidden: {hidden}, intermediate: "
             f"{inner}, experts: {experts}, topk: {topk}, score: sigmoid, "
             "bias: true, renormalize: true, routed_scaling: 2.5, layers: 1, "
             "moe_layers: 1}")
    out = T.op("moe-layer", given, model, "dispatch=bf16",
               "precision.weights=bf16", "precision.expert_in=bf16",
               "precision.gemm2_in=bf16")
    check_decode_scale(hidden, xv, model, given)
    s = SCORES["sigmoid"](xv @ rv.T)
    ids, gap = best(s + bias, topk)
    assert (array(out["topk_ids"], "<i4") == ids)[gap > NEAR].all()
    weights = np.take_along_axis(s, ids, -1)
    weights *= 2.5 / weights.sum(-1, keepdims=True)
    want = np.zeros((tokens, hidden))
    for t in range(tokens):
        for e, weight in zip(ids[t], weights[t]):
            gate, up = np.split(v13[e] @ xv[t], 2)
            want[t] += weight * (v2[e] @ (gate / (1 + np.exp(-gate)) * up))
    got = array(out["output"], "<u2").astype(np.uint32) << 16
    got = got.view(np.float32).astype(float)
    error = np.linalg.norm(got - want, axis=1) / np.linalg.norm(want, axis=1)
    assert error[gap > NEAR].max() < 2.0 ** -7, error.max()
    assert (gap > NEAR).mean() > 0.9


def main():
    for name, family in FAMILIES.items():
        check_router(name, family)
    check_layer()
    print(f"numpy {np.__version__} agrees: {len(FAMILIES)} routers, a layer")


if __name__ == "__main__":
    main()
