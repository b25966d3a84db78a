# SPDX-License-Identifier: Apache-2.0
"""op_layer.py WORK: LogFMT-10 there and back, and a layer with biases, by
moesim op; a second judge beside op_judge.py."""
import math
import os
import random
import struct
import subprocess
import sys

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
    model[1] = model[1].replace(", expert_bias: true", "")
    done = run("moe-layer", given, *model)
    check(done.returncode == 2 and
          done.stderr.count("the model has no expert_bias") == 2,
          "moe-layer: biases that the model has not are refused")


logfmt()
biases()
