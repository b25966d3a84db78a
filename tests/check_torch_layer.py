#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every router family, and whole layers stage by stage, against PyTorch in
float64.

Nothing here is moesim's but the calls of `moesim op`. A stage is held against
PyTorch's of the tensor before it, to the one rounding that it may make and what
float64 itself may lose. Skipped without PyTorch.
"""
import os
import sys

try:
    import torch
    import torch.nn.functional as F
except ImportError as error:
    print(f"{error}: pip install torch")
    sys.exit(77)

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "e2e"))
import tensors as T  # noqa: E402

NEAR = 2e-6  # fp32 rounding of scores, sums of two and biases of this size
DIGITS = {torch.bfloat16: 8, torch.float32: 24}
KINDS = {"BF16": torch.bfloat16, "F32": torch.float32, "I32": torch.int32,
         "U8": torch.uint8, "F4": torch.uint8,
         "F8_E4M3": torch.float8_e4m3fn}
NAMES = {torch.bfloat16: "BF16", torch.float32: "F32", torch.int32: "I32"}
E2M1 = torch.tensor([0, .5, 1, 1.5, 2, 3, 4, 6], dtype=torch.float64)
E2M1 = torch.cat([E2M1, -E2M1])
draw = torch.Generator().manual_seed(7667)

# A router: score, groups, kept, limit, bias, renormalised, scaling.
FAMILIES = {
    "Mixtral": ("softmax", 1, 1, "top2_sum", False, True, 1.0),
    "Qwen1.5": ("softmax", 1, 1, "top2_sum", False, False, 1.0),
    "gpt-oss": ("softmax_chosen", 1, 1, "top2_sum", True, False, 1.0),
    "DeepSeek-V2": ("softmax", 8, 3, "max", False, False, 16.0),
    "DeepSeek-V3": ("sigmoid", 8, 4, "top2_sum", True, True, 2.5),
    "Llama-4": ("sigmoid", 1, 1, "top2_sum", False, False, 1.0),
    "DeepSeek-V4": ("sqrt_softplus", 1, 1, "top2_sum", True, True, 1.5),
    "Pangu": ("softmax", 2, 2, "each", False, True, 1.0),
}
SCORES = {"softmax": lambda x: x.softmax(-1), "softmax_chosen": lambda x: x,
          "sigmoid": torch.sigmoid,
          "sqrt_softplus": lambda x: F.softplus(x, threshold=50).sqrt()}


def swiglu_oai(gate, up):
    gate, up = gate.clamp(max=7), up.clamp(-7, 7)
    alpha = torch.tensor(1.702, dtype=torch.float32).double()
    return gate * torch.sigmoid(alpha * gate) * (up + 1)


ACTIVATIONS = {"swiglu": lambda g, u: F.silu(g) * u, "swiglu_oai": swiglu_oai,
               "gelu": lambda g, u: F.gelu(g) * u,
               "gelu_tanh": lambda g, u: F.gelu(g, approximate="tanh") * u}

# A layer: family, top-k, activation, further keys of the model, format.
LAYERS = {
    "Mixtral": ("Mixtral", 2, "swiglu", "", "bf16"),
    "DeepSeek-V3": ("DeepSeek-V3", 4, "swiglu", "", "bf16"),
    "DeepSeek-V3 in NVFP4": ("DeepSeek-V3", 4, "swiglu", "", "nvfp4"),
    "DeepSeek-V2, GELU": ("DeepSeek-V2", 4, "gelu", "", "bf16"),
    "Qwen1.5, tanh": ("Qwen1.5", 4, "gelu_tanh", "", "bf16"),
    "gpt-oss": ("gpt-oss", 4, "swiglu_oai",
                ", gate_up: interleaved, expert_bias: true", "bf16"),
    "Llama-4": ("Llama-4", 1, "swiglu", ", weight_on_input: true", "bf16"),
}


def give(x):
    raw = x.contiguous().view(torch.uint8).numpy().tobytes()
    return NAMES[x.dtype], tuple(x.shape), raw


def take(tensor):
    kind, shape, raw = tensor
    x = torch.frombuffer(bytearray(raw), dtype=KINDS[kind])
    if kind == "F4":
        x = torch.stack([x & 15, x >> 4], -1)
    return x.reshape(shape)


def normal(*shape, size=1.0, dtype=torch.bfloat16):
    return (torch.randn(*shape, generator=draw) * size).to(dtype)


def best(choice, n):
    """The n largest of each row, in order, and the least gap among them and to
    the next."""
    top = choice.topk(min(n + 1, choice.shape[-1]))
    gap = -top.values.diff(dim=-1)
    return top.indices[..., :n], gap.amin(-1)


def keep_groups(choice, groups, kept, limit):
    """Choices of the best groups, others far below; rows that are sure."""
    grouped = choice.unflatten(-1, (groups, -1))
    value = (grouped.amax(-1) if limit == "max"
             else grouped.topk(2).values.sum(-1))
    ranked = value.sort(descending=True).values
    mask = torch.zeros_like(value).scatter(1, value.topk(kept).indices, 1.0)
    far = grouped.masked_fill(mask.unsqueeze(-1) == 0, -1e9)
    return far.flatten(1), ranked[:, kept - 1] - ranked[:, kept] > NEAR


def route(logits, bias, family, topk):
    """Experts, weights, and rows that rounding cannot move."""
    score, groups, kept, limit, _, renormalize, scaling = family
    s = SCORES[score](logits.double())
    choice = s + bias.double()
    sure = torch.ones(len(s), dtype=torch.bool)
    if limit == "each":
        part, gap = best(choice.unflatten(-1, (groups, -1)), topk // groups)
        first = torch.arange(groups) * (s.shape[1] // groups)
        ids, sure = (part + first[:, None]).flatten(1), gap.amin(-1) > NEAR
    else:
        if kept < groups:
            choice, sure = keep_groups(choice, groups, kept, limit)
        ids, gap = best(choice, topk)
        sure = sure & (gap > NEAR)
    weights = (choice if score == "softmax_chosen" else s).gather(1, ids)
    if score == "softmax_chosen":
        weights = weights.softmax(-1)
    if renormalize:
        weights = weights / weights.sum(-1, keepdim=True)
    return ids, weights * scaling, sure


def hold_routing(name, logits, bias, family, topk, out):
    ids, weights, sure = route(logits, bias, family, topk)
    got = take(out["topk_weights"]).double()
    assert sure.double().mean() > 0.9, (name, sure.double().mean())
    assert (take(out["topk_ids"])[sure] == ids[sure]).all(), name
    error = ((got - weights).abs() / weights)[sure]
    assert error.max() < 2.0 ** -20, (name, error.max())


def check_router(name, family):
    score, groups, kept, limit, biased, renormalize, scaling = family
    logits = normal(300, 64, size=2, dtype=torch.float32)
    bias = normal(64, size=0.25, dtype=torch.float32) * biased
    given = {"logits": give(logits)}
    if biased:
        given["bias"] = give(bias)
    out = T.op("route", given, f"score={score}", f"n_group={groups}",
               f"topk_group={kept}", f"group_limit={limit}", "topk=6",
               f"renormalize={str(renormalize).lower()}",
               f"routed_scaling={scaling}")
    hold_routing(name, logits, bias, family, 6, out)


def hold(what, got, want, lost):
    """One rounding of want, which itself may be off by lost."""
    half_ulp = 2.0 ** (want.frexp().exponent.double() - DIGITS[got.dtype] - 1)
    room = half_ulp + lost
    error = (got.double() - want).abs()
    assert (error <= room).all(), (what, (error / room).max().item())


def linear(x, w):
    """x w^T, and what float64 may lose of it."""
    lost = x.shape[-1] * 2.0 ** -52 * x.norm(dim=-1, keepdim=True)
    return x @ w.T, lost * w.norm(dim=-1)


def nvfp4(shape):
    """Random codes, scales and a decode scale, by name, and their values."""
    codes = torch.randint(0, 16, shape, generator=draw, dtype=torch.uint8)
    codes = codes.masked_fill(codes == 8, 0)
    blocks = shape[:-1] + (shape[-1] // 16,)
    scale = torch.randint(1, 17, blocks, generator=draw).float()
    scale = scale.to(torch.float8_e4m3fn)
    decode = torch.tensor([1 / (32 * shape[-1] ** 0.5)])
    pairs = (codes[..., ::2] | codes[..., 1::2] << 4).numpy().tobytes()
    given = {"": ("F4", shape, pairs), ".decode_scale": give(decode),
             ".scale": ("F8_E4M3", blocks,
                        scale.view(torch.uint8).numpy().tobytes())}
    return given, decoded(codes, scale, decode)


def decoded(codes, scale, decode):
    value = E2M1[codes.long()] * scale.double().repeat_interleave(16, -1)
    return value * decode.double()


def weights_of(shape, form):
    if form == "nvfp4":
        return nvfp4(shape)
    w = normal(*shape, size=shape[-1] ** -0.5)
    return {"": give(w)}, w.double()


def operand(out, name):
    """Values of a place, coded or not."""
    x = take(out[name])
    if name + ".scale" in out:
        return decoded(x, take(out[name + ".scale"]),
                       take(out[name + ".decode_scale"]))
    return x.double()


def hold_experts(name, out, given, activation, interleaved):
    """gemm1, activation and gemm2, expert by expert."""
    ids = take(out["topk_ids"])
    x, middle = operand(out, "expert_in"), operand(out, "gemm2_in")
    begin = 0
    for e in range(len(given["w13"])):
        rows = slice(begin, begin + int((ids == e).sum()))
        begin = rows.stop
        want, lost = linear(x[rows], given["w13"][e])
        one = take(out["gemm1_out"])[rows]
        hold(name + " gemm1", one, want + given["w13.bias"][e], lost)
        one = one.double()
        gate, up = ((one[:, ::2], one[:, 1::2]) if interleaved
                    else one.chunk(2, -1))
        hold(name + " activation", take(out["act_out"])[rows],
             ACTIVATIONS[activation](gate, up), 1e-14)
        want, lost = linear(middle[rows], given["w2"][e])
        hold(name + " gemm2", take(out["gemm2_out"])[rows],
             want + given["w2.bias"][e], lost)
    assert begin == len(x), name


def pairs_of(ids):
    """Token and slot of each row: by expert, then token."""
    order = ids.flatten().argsort(stable=True)
    return order // ids.shape[1], order % ids.shape[1]


def hold_ends(name, out, hidden, given, form, on_input):
    """What experts read, and the sum of what they return."""
    want, lost = linear(hidden.double(), given["router"].double())
    hold(name + " logits", take(out["logits"]), want, lost)
    token, slot = pairs_of(take(out["topk_ids"]))
    weight = take(out["topk_weights"]).double()[token, slot].unsqueeze(-1)
    if form == "bf16":
        rows = hidden[token].double() * (weight if on_input else 1)
        hold(name + " expert_in", take(out["expert_in"]), rows, 0)
    term = take(out["gemm2_out"]).double() * (1 if on_input else weight)
    none = torch.zeros(hidden.shape, dtype=torch.float64)
    lost = none.index_add(0, token, term.abs()) * 2.0 ** -49
    hold(name + " output", take(out["output"]),
         none.index_add(0, token, term), lost)


def model_text(family, topk, activation, keys):
    score, groups, kept, limit, biased, renormalize, scaling = family
    return (f"model={{name: x, source: t, hidden: 128, intermediate: 64, "
            f"experts: 32, topk: {topk}, score: {score}, n_group: {groups}, "
            f"topk_group: {kept}, group_limit: {limit}, "
            f"bias: {str(biased).lower()}, "
            f"renormalize: {str(renormalize).lower()}, "
            f"routed_scaling: {scaling}, activation: {activation}{keys}, "
            "layers: 1, moe_layers: 1}")


def check_layer(name, router, topk, activation, keys, form):
    hidden, inner, experts, family = 128, 64, 32, FAMILIES[router]
    x = normal(70, hidden)
    given = {"router": normal(experts, hidden, size=hidden ** -0.5),
             "bias": normal(experts, size=0.125, dtype=torch.float32),
             "w13.bias": normal(experts, 2 * inner, dtype=torch.float32) / 64,
             "w2.bias": normal(experts, hidden, dtype=torch.float32) / 64}
    biased = {"bias": family[4], "w13.bias": "expert_bias" in keys,
              "w2.bias": "expert_bias" in keys, "router": True}
    files = {k: give(v) for k, v in given.items() if biased[k]}
    given = {k: v * biased[k] for k, v in given.items()}
    files["hidden"] = give(x)
    for w, shape in (("w13", (experts, 2 * inner, hidden)),
                     ("w2", (experts, hidden, inner))):
        parts, given[w] = weights_of(shape, form)
        files.update({w + end: part for end, part in parts.items()})
    out = T.op("moe-layer", files, model_text(family, topk, activation, keys),
               f"dispatch={form}", f"precision.weights={form}",
               f"precision.expert_in={form}", f"precision.gemm2_in={form}")
    hold_routing(name, take(out["logits"]), given["bias"], family, topk, out)
    hold_ends(name, out, x, given, form, "weight_on_input" in keys)
    hold_experts(name, out, given, activation, "interleaved" in keys)


def main():
    for name, family in FAMILIES.items():
        check_router(name, family)
    for name, layer in LAYERS.items():
        check_layer(name, *layer)
    print(f"PyTorch {torch.__version__} agrees: {len(FAMILIES)} routers, "
          f"{len(LAYERS)} layers")


if __name__ == "__main__":
    main()
