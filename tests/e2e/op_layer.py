# SPDX-License-Identifier: Apache-2.0
"""op_layer.py WORK: LogFMT-10 there and back, a layer with biases, FP8 by
128x128, and groups without a limit, by moesim op; a second judge beside
op_judge.py."""
import math
import os
import random
import struct
import subprocess
import sys
from fractions import Fraction

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tensors as T  # noqa: E402

WORK = sys.argv[1]
draw = random.Random(2469)


def check(good, what):
    print("%s: %s" % ("pass" if good else "FAIL", what))


def run(name, tensors, *options):
    a, b = WORK + "/a.safetensors", WORK + "/b.safetensors"
    T.write(a, tensors)
    return subprocess.run([os.environ["MOESIM"], "op", name, "--in", a, "--out",
                           b, *options], stderr=subprocess.PIPE, text=True)


def op(name, tensors, *options):
    run(name, tensors, *options).check_returncode()
    return T.read(WORK + "/b.safetensors")


def bf16(word):
    return struct.unpack("<f", struct.pack("<I", word << 16))[0]


def logfmt():
    """Ten bits a number: sign and logarithm in 510 steps, by 128 columns."""
    words = [draw.randrange(0x3c00, 0x3f80) | draw.randrange(2) << 15
             for _ in range(3 * 256)]
    y = op("quantize", {"x": T.pack("BF16", (3, 256), words)}, "--to",
           "logfmt10")
    check(y["y"][:2] == ("U8", (3, 320)), "quantize to logfmt10: 320 bytes")
    out = T.values(op("dequantize", y, "--from", "logfmt10", "--to",
                      "fp32")["x"])
    x = [bf16(w) for w in words]
    good = len(out) == len(x)
    for g in range(0, len(x), 128):
        size = [math.log2(abs(v)) for v in x[g:g + 128]]
        near = 2 ** ((max(size) - min(size)) / 510) - 1
        good &= all(abs(a - b) <= near * abs(a)
                    for a, b in zip(x[g:g + 128], out[g:g + 128]))
    check(good, "dequantize from logfmt10: within a step")
    y["y"] = ("U8", (3, 319), y["y"][2][:3 * 319])
    check(run("dequantize", y, "--from", "logfmt10").returncode == 2,
          "dequantize from logfmt10: rows of 319 bytes are refused")


def biases():
    """Where weights are 0, biases are all that experts return: with gate and
    up b and c the layer gives sum over slots of weight (w2.bias)."""
    tokens, hidden, inner, experts = 3, 16, 16, 4
    model = ["--set", "model={name: t, hidden: 16, intermediate: 16, experts: "
             "4, topk: 2, score: softmax, renormalize: true, activation: "
             "relu_glu, expert_bias: true}", "--set", "precision.profile=te",
             "--set", "precision.hidden=bf16", "--set",
             "precision.expert_in=bf16", "--set", "precision.gemm2_in=bf16",
             "--set", "precision.weights=bf16"]
    ids = [0, 1, 2, 3, 1, 3]
    one = 0x3f80
    w2 = [one if i % inner == 0 else 0
          for i in range(experts * hidden * inner)]  # the first of the inner
    given = {
        "hidden": T.pack("BF16", (tokens, hidden), [one] * tokens * hidden),
        "topk_ids": T.pack("I32", (tokens, 2), ids),
        "topk_weights": T.pack("F32", (tokens, 2), [0.5, 0.25] * tokens),
        "w13": T.pack("BF16", (experts, 2 * inner, hidden),
                      [0] * (2 * experts * inner * hidden)),
        "w2": T.pack("BF16", (experts, hidden, inner), w2),
        "w13.bias": T.pack("F32", (experts, 2 * inner),
                           [float(e + 1) if i < inner else 2.0
                            for e in range(experts)
                            for i in range(2 * inner)]),
        "w2.bias": T.pack("F32", (experts, hidden),
                          [16.0 * e + i for e in range(experts)
                           for i in range(hidden)])}
    out = op("moe-layer", given, *model)["output"]
    # relu(e + 1) times 2, and w2.bias
    want = [sum(w * (2.0 * (e + 1) + 16.0 * e + i)
                for w, e in zip((0.5, 0.25), ids[2 * t:2 * t + 2]))
            for t in range(tokens) for i in range(hidden)]
    check([bf16(v) for v in T.values(out)] == want,
          "moe-layer: biases of both matmuls")
    for name in ("w13.bias", "w2.bias"):
        left = {k: v for k, v in given.items() if k != name}
        done = run("moe-layer", left, *model)
        check(done.returncode == 2 and name + ": is missing" in done.stderr,
              "moe-layer: %s is asked for" % name)
    left = {k: v for k, v in given.items()
            if k not in ("w2", "w2.bias", "topk_weights")}
    left["w13"] = T.pack("BF16", (experts, inner, hidden),
                         [0] * (experts * inner * hidden))
    done = run("moe-layer", left, *model)
    check(done.returncode == 2 and
          [n for n in ("w2", "w2.bias", "topk_weights")
           if n + ": is missing" in done.stderr] ==
          ["w2", "w2.bias", "topk_weights"],
          "moe-layer: all that is missing is told at once")
    model[1] = model[1].replace(", expert_bias: true", "")
    done = run("moe-layer", given, *model)
    check(done.returncode == 2 and
          done.stderr.count("the model has no expert_bias") == 2,
          "moe-layer: biases that the model has not are refused")


def e4m3(code):
    e, m = code >> 3 & 15, code & 7
    size = (8 + m) * Fraction(2) ** (e - 10) if e else m * Fraction(2) ** -9
    return -size if code & 128 else size


def tiles():
    """FP8 by 1x128 times FP8 by 128x128, N no multiple of 128: the same bits
    with each row's scales written out, and the exact sums."""
    experts, n, k = 2, 130, 256
    sizes = {"x": (3, k), "w": (experts, n, k)}
    codes = {name: [draw.randrange(126) | draw.randrange(2) << 7
                    for _ in range(math.prod(shape))]
             for name, shape in sizes.items()}
    scales = [2.0 ** draw.randint(-6, 3) * 1.25 for _ in range(3 * 2)]
    tile = [2.0 ** draw.randint(-6, 3) * 1.5 for _ in range(experts * 2 * 2)]
    rows = [tile[(e * 2 + j // 128) * 2 + b] for e in range(experts)
            for j in range(n) for b in range(2)]
    given = {name: ("F8_E4M3", shape, bytes(codes[name]))
             for name, shape in sizes.items()}
    given["x.scale"] = T.pack("F32", (3, 2), scales)
    given["offset"] = T.pack("I64", (3,), [0, 1, 3])
    out = []
    for shape, of in (((experts, 2, 2), tile), ((experts, n, 2), rows)):
        given["w.scale"] = T.pack("F32", shape, of)
        out.append(op("grouped-matmul", given, "--from", "fp8_1x128", "--to",
                      "fp32")["out"])
    check(out[0] == out[1], "grouped-matmul: a scale of 128 x 128 elements")
    good = True
    for r, e in ((0, 0), (1, 1), (2, 1)):
        for j in (0, 127, 128, 129):
            want = sum(e4m3(codes["x"][r * k + c]) *
                       e4m3(codes["w"][(e * n + j) * k + c]) *
                       Fraction(scales[r * 2 + c // 128]) *
                       Fraction(tile[(e * 2 + j // 128) * 2 + c // 128])
                       for c in range(k))
            good &= T.values(out[0])[r * n + j] == struct.unpack(
                "<f", struct.pack("<f", float(want)))[0]
    check(good, "and its sums are exact")
    given["w.scale"] = T.pack("F32", (experts, 3, 2), tile + tile[:4])
    done = run("grouped-matmul", given, "--from", "fp8_1x128")
    check(done.returncode == 2 and "128 x 128" in done.stderr,
          "grouped-matmul: scales of neither are refused")
    done = run("dequantize", {"y": ("F8_E4M3", (1, 4, 128), bytes(512)),
                              "y.scale": T.pack("F32", (1, 1, 1), [1.0])},
               "--from", "fp8_1x128")
    check(done.returncode == 2 and "one a block of each row" in done.stderr
          and "128 x 128" not in done.stderr,
          "dequantize: rows that are no weights have their own scales")


def groups():
    """n_group without topk_group: every group may be used."""
    rows, experts, n_group, topk = 24, 16, 4, 8
    size = experts // n_group
    logits = [draw.gauss(0, 2) for _ in range(rows * experts)]
    given = {"logits": T.pack("F32", (rows, experts), logits)}
    plain = ["--set", "topk=%d" % topk]
    by_group = plain + ["--set", "n_group=%d" % n_group]
    free = op("route", given, *plain)
    out = op("route", given, *by_group, "--set", "group_limit=top2_sum")
    check(out == free, "route: groups without topk_group limit nothing")
    out = op("route", given, *by_group, "--set", "group_limit=each")
    ids = T.values(out["topk_ids"])
    good = len(ids) == rows * topk
    for r in range(rows):
        row = logits[r * experts:(r + 1) * experts]
        want = [e for g in range(n_group) for e in sorted(
            range(g * size, (g + 1) * size), key=lambda e: -row[e])
            [:topk // n_group]]
        good &= sorted(ids[r * topk:(r + 1) * topk]) == sorted(want)
    check(good, "route: each of the groups has its share")
    limited = op("route", given, *by_group, "--set", "topk_group=2", "--set",
                 "group_limit=top2_sum")
    check(limited != free, "route: topk_group limits them")
    given["logits"] = T.pack("F32", (rows, 8), logits[:rows * 8])
    free = op("route", given, "--model", "mixtral-8x7b")
    out = op("route", given, "--model", "mixtral-8x7b", "--set", "n_group=4")
    check(out == free, "route: nor in a model that has no groups")


logfmt()
biases()
tiles()
groups()
