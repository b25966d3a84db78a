# SPDX-License-Identifier: Apache-2.0
"""op_judge.py WORK: moesim op against definitions written here in exact
arithmetic, on small tensors."""
import math
import bisect
import os
import random
import struct
import subprocess
import sys
from decimal import Decimal, getcontext
from fractions import Fraction

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tensors as T  # noqa: E402

getcontext().prec = 60
WORK = sys.argv[1]
draw = random.Random(7667)
failed = 0


def check(good, what):
    global failed
    failed += not good
    print("%s: %s" % ("pass" if good else "FAIL", what))


def op(name, tensors, *options):
    a, b = WORK + "/a.safetensors", WORK + "/b.safetensors"
    T.write(a, tensors)
    subprocess.run([os.environ["MOESIM"], "op", name, "--in", a, "--out", b,
                    *options], check=True)
    return T.read(b)


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def minifloat(bits, exponent_bits, bias, n):
    """Values of the positive codes 0 .. n - 1."""
    mantissa = bits - 1 - exponent_bits
    out = []
    for code in range(n):
        e, m = code >> mantissa, code & ((1 << mantissa) - 1)
        out.append(Fraction(m, 1 << mantissa) * Fraction(2) ** (1 - bias)
                   if e == 0 else
                   (1 + Fraction(m, 1 << mantissa)) * Fraction(2) ** (e - bias))
    return out


TYPES = {  # positive values, sign bit, whether it saturates, code of NaN
    "e2m1": (minifloat(4, 2, 1, 8), 8, True, 7),
    "e4m3": (minifloat(8, 4, 7, 127), 128, True, 0x7f),
    "e5m2": (minifloat(8, 5, 15, 124), 128, True, 0x7f),
    "bf16": (minifloat(16, 8, 127, 0x7f80), 1 << 15, False, None),
    "fp16": (minifloat(16, 5, 15, 0x7c00), 1 << 15, False, None),
    "fp32": None}


def nearest(x, name):
    """Code next to an exact number, ties to the even code."""
    table, sign, saturates, _ = TYPES[name]
    a = abs(x)
    i = bisect.bisect_left(table, a)
    if i == len(table):
        last = table[-1] + (table[-1] - table[-2]) / 2
        code = len(table) if not saturates and a >= last else len(table) - 1
    elif i == 0 or table[i] == a:
        code = i
    else:
        low, high = a - table[i - 1], table[i] - a
        code = i if high < low or (high == low and i % 2 == 0) else i - 1
    return code | (sign if x < 0 else 0)


def value(code, name):
    table, sign, _, _ = TYPES[name]
    return table[code & (sign - 1)] * (-1 if code & sign else 1)


def bf16(n, scale=1.0):
    return [nearest(Fraction(draw.gauss(0, scale)), "bf16") for _ in range(n)]


def check_convert():
    xs = [f32(draw.gauss(0, 1) * 2.0 ** draw.randint(-20, 19))
          for _ in range(300)] + [0.0, -0.0, 448.0, 464.0, 465.0, 57344.0]
    xs += [float(v) * s for v in TYPES["e4m3"][0][:60] for s in (1, -1)]
    xs += [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0, -5.0, 65519.0, 65520.0]
    x = T.pack("F32", (2, len(xs) // 2), xs)
    for name in ("e2m1", "e4m3", "e5m2", "bf16", "fp16"):
        y = op("convert", {"x": x}, "--to", name)["y"]
        want = [nearest(Fraction(v), name) if v else
                (TYPES[name][1] if struct.pack("<f", v)[3] else 0) for v in xs]
        check(T.values(y) == want and y[1] == x[1], "convert to " + name)
        back = op("convert", {"x": y}, "--from", name)["y"]
        finite = [(a, b) for a, b in zip(T.values(back), want)
                  if b & (TYPES[name][1] - 1) < len(TYPES[name][0])]
        check(all(Fraction(a) == value(b, name) for a, b in finite)
              and len(finite) > 200, "and from " + name)
    y = op("convert", {"in": x}, "--to", "e8m0", "--tensor", "x=in",
           "--tensor", "y=codes")["codes"]
    want = [0 if not v else max(0, min(254, 127 + (
        struct.unpack("<I", struct.pack("<f", abs(v)))[0] >> 23) - 127 +
        (struct.unpack("<I", struct.pack("<f", abs(v)))[0] & 0x7fffff != 0)))
        for v in xs]
    check(T.values(y) == want, "convert to e8m0, names given")


def te_exact(row, gs):
    codes, scales = [], []
    sixth = f32(1 / 6)
    for b in range(0, len(row), 16):
        v = max(abs(x) for x in row[b:b + 16])
        s = nearest(Fraction(f32(v * f32(gs * sixth))), "e4m3")
        sf = float(value(s, "e4m3")) * f32(1 / gs)
        os_ = f32(1 / f32(sf)) if s else 3.4028234663852886e38
        scales.append(s)
        codes += [nearest(Fraction(f32(x * os_)), "e2m1") for x in row[b:b + 16]]
    return codes, scales


def check_quantize():
    bits = bf16(5 * 64, 2.0)
    bits[16:32] = [0] * 16
    x = T.pack("BF16", (5, 64), bits)
    gs = 672.0
    y = op("quantize", {"x": x}, "--to", "nvfp4", "--set", "global_scale=672")
    rows = [[float(value(c, "bf16")) for c in bits[64 * r:64 * r + 64]]
            for r in range(5)]
    want = [te_exact(r, gs) for r in rows]
    codes = [c for w in want for c in w[0]]
    scales = [s for w in want for s in w[1]]
    check(y["y"][:2] == ("F4", (5, 64)) and T.values(y["y"]) == codes,
          "quantize: codes of te-exact")
    check(y["y.scale"][:2] == ("F8_E4M3", (5, 4)) and
          T.values(y["y.scale"]) == scales, "quantize: scales of te-exact")
    again = op("quantize", {"x": x, "global_scale": T.pack("F32", (1,), [gs])},
               "--to", "nvfp4", "--profile", "te")
    check(again == y, "quantize: global scale as a tensor, alias te")
    d = f32(1 / gs)
    exact = [value(c, "e2m1") * value(scales[i // 16], "e4m3") * Fraction(d)
             for i, c in enumerate(codes)]
    out = op("dequantize", y, "--from", "nvfp4", "--to", "fp32", "--set",
             "global_scale=672")["x"]
    check(T.values(out) == [f32(float(v)) for v in exact], "dequantize to fp32")
    y["y"] = ("U8", (5, 32), y["y"][2])
    out = op("dequantize", y, "--from", "nvfp4", "--set",
             "global_scale=672")["x"]
    check([c & 0x7fff or 0 for c in T.values(out)] ==
          [nearest(v, "bf16") & 0x7fff for v in exact],
          "dequantize pairs in U8 to bf16")
    g = op("global-scale", {"x": x}, "--to", "nvfp4")
    amax = max(abs(v) for r in rows for v in r)
    check(T.values(g["amax"]) == [amax] and
          abs(T.values(g["global_scale"])[0] - 2688 / amax) < 1e-3,
          "global-scale from the largest magnitude")
    none = {"x": T.pack("BF16", (1, 16), [0] * 16)}
    check(T.values(op("global-scale", none, "--to", "nvfp4", "--profile", "te")
                   ["global_scale"]) == [1.0], "global-scale of zeros, te")
    for profile in ("vllm", "sglang", "trtllm", "flashinfer", "te", "torchao"):
        out = op("quantize", {"x": x}, "--to", "nvfp4", "--profile", profile,
                 "--set", "global_scale=" +
                 ("0.00148809527" if profile == "torchao" else "672"))
        near = sum(a == b for a, b in zip(T.values(out["y"]), codes))
        check(near > 0.95 * len(codes), "quantize by profile " + profile)


def offset_128x4(row, block, blocks):
    return ((row // 128 * (blocks // 4) + block // 4) * 512 +
            row % 32 * 16 + row % 128 // 32 * 4 + block % 4)


def offset_8x4(row, block, blocks):
    return ((row // 8 * (blocks // 4) + block // 4) * 32 +
            row % 8 * 4 + block % 4)


def check_swizzle():
    for name, tile, offset in (("128x4", 128, offset_128x4),
                               ("8x4", 8, offset_8x4)):
        rows, blocks = 131, 6
        padded = (-(-rows // tile) * tile, 8)
        linear = [draw.randint(1, 255) for _ in range(rows * blocks)]
        scale = T.pack("U8", (rows, blocks), linear)
        out = op("swizzle", {"scale": scale}, "--set", "layout=" + name)
        want = [0] * (padded[0] * padded[1])
        for r in range(rows):
            for b in range(blocks):
                want[offset(r, b, padded[1])] = linear[r * blocks + b]
        check(out["swizzled"][1] == padded and
              T.values(out["swizzled"]) == want, "swizzle " + name)
        back = op("unswizzle", out, "--set", "layout=" + name, "--set",
                  "rows=131", "--set", "blocks=6")
        check(back["scale"] == scale, "unswizzle " + name)


def softmax_route(logits, k):
    e = [(Decimal(v) - Decimal(max(logits))).exp() for v in logits]
    s = [f32(float(v / sum(e))) for v in e]
    ids = sorted(range(len(s)), key=lambda i: (-s[i], i))[:k]
    total = 0.0
    for i in ids:
        total = f32(total + s[i])
    return ids, [f32(float(Fraction(s[i]) / Fraction(total))) for i in ids]


def check_route():
    n, experts, k = 40, 12, 3
    logits = [f32(draw.gauss(0, 2)) for _ in range(n * experts)]
    logits[5] = logits[4]
    x = {"logits": T.pack("F32", (n, experts), logits)}
    want = [softmax_route(logits[experts * i:experts * (i + 1)], k)
            for i in range(n)]
    out = op("route", x, "--set", "topk=3", "--set", "score=softmax", "--set",
             "renormalize=true")
    check(T.values(out["topk_ids"]) == [i for w in want for i in w[0]],
          "route: ids")
    check(T.values(out["topk_weights"]) == [v for w in want for v in w[1]],
          "route: weights")
    x["logits"] = T.pack("F32", (1, 256), [f32(i / 100) for i in range(256)])
    x["bias"] = T.pack("F32", (256,), [0.0] * 256)
    out = op("route", x, "--model", "deepseek-r1")
    check(T.values(out["topk_ids"])[0] == 255 and
          abs(sum(T.values(out["topk_weights"])) - 2.5) < 1e-5,
          "route by a model's router")
    return want


def check_rows(routes):
    n, k, experts, cols = len(routes), 3, 12, 32
    bits = bf16(n * cols)
    ids = [i for r in routes for i in r[0]]
    out = op("permute", {"x": T.pack("BF16", (n, cols), bits),
                         "topk_ids": T.pack("I64", (n, k), ids)},
             "--set", "experts=6", "--set", "first_expert=4")
    pairs = sorted((ids[i], i // k, i % k) for i in range(n * k)
                   if 4 <= ids[i] < 10)
    check(T.values(out["rows"]) ==
          [c for _, t, _ in pairs for c in bits[cols * t:cols * (t + 1)]],
          "permute: rows")
    check([T.values(out[a]) for a in ("expert", "source_row", "slot")] ==
          [list(a) for a in zip(*pairs)], "permute: who they are")
    check(T.values(out["offset"]) ==
          [sum(p[0] < e for p in pairs) for e in range(4, 11)],
          "permute: offsets")
    place = T.values(out["place"])
    weights = [w for r in routes for w in r[1]]
    sums = op("unpermute", {"rows": out["rows"], "place": out["place"],
                            "topk_weights": T.pack("F32", (n, k), weights)})
    want = []
    for t in range(n):
        for c in range(cols):
            want.append(nearest(sum(
                (Fraction(weights[t * k + s]) * value(bits[t * cols + c],
                                                      "bf16")
                 for s in range(k) if place[t * k + s] >= 0), Fraction(0)),
                "bf16"))
    check(T.values(sums["out"]) == want, "unpermute: exact sums")
    return out


def check_experts(moved):
    m, cols, outs = moved["rows"][1][0], 32, 20
    x = [value(c, "bf16") for c in T.values(moved["rows"])]
    w = bf16(6 * outs * cols, 0.2)
    wv = [value(c, "bf16") for c in w]
    offset = T.values(moved["offset"])
    out = op("grouped-matmul", {"x": moved["rows"],
                                "w": T.pack("BF16", (6, outs, cols), w),
                                "offset": moved["offset"]})
    want = []
    for e in range(6):
        for r in range(offset[e], offset[e + 1]):
            for j in range(outs):
                want.append(nearest(sum(
                    x[r * cols + i] * wv[(e * outs + j) * cols + i]
                    for i in range(cols)), "bf16"))
    check(T.values(out["out"]) == want and m > 20, "grouped-matmul of bf16")
    bias = [0.0] * (6 * outs)
    bias[1::outs] = [math.nan] * 6
    odd = op("grouped-matmul", {"x": moved["rows"],
                                "w": T.pack("BF16", (6, outs, cols), w),
                                "bias": T.pack("F32", (6, outs), bias),
                                "offset": moved["offset"]})
    check([i % outs for i, c in enumerate(T.values(odd["out"]))
           if c & 0x7fff > 0x7f80] == [1] * m, "grouped-matmul: a bias of NaN")
    gated = op("activation", {"x": out["out"]})["out"]
    want = []
    for r in range(m):
        for j in range(outs // 2):
            g, u = (Decimal(float(value(T.values(out["out"])[
                r * outs + j + h], "bf16"))) for h in (0, outs // 2))
            y = g / (1 + (-g).exp()) * u
            want.append(nearest(Fraction(y), "bf16") if y else 0)
    check(gated[1] == (m, outs // 2) and T.values(gated) == want,
          "activation: swiglu")


def check_nvfp4_matmul():
    k, n = 64, 6
    x = {"x": T.pack("BF16", (3, k), bf16(3 * k))}
    a = op("quantize", x, "--to", "nvfp4", "--set", "global_scale=672")
    x = {"x": T.pack("BF16", (n, k), bf16(n * k, 0.1))}
    b = op("quantize", x, "--to", "nvfp4", "--set", "global_scale=4096")
    d = [f32(1 / 672), f32(1 / 4096)]
    out = op("grouped-matmul", {
        "x": a["y"], "x.scale": a["y.scale"],
        "x.decode_scale": T.pack("F32", (1,), d[:1]),
        "w": ("F4", (1, n, k), b["y"][2]),
        "w.scale": ("F8_E4M3", (1, n, k // 16), b["y.scale"][2]),
        "w.decode_scale": T.pack("F32", (1,), d[1:]),
        "offset": T.pack("I64", (2,), [0, 3])}, "--from", "nvfp4")["out"]

    def decode(t, i, g):
        return (value(T.values(t["y"])[i], "e2m1") * Fraction(g) *
                value(T.values(t["y.scale"])[i // 16], "e4m3"))
    av = [decode(a, i, d[0]) for i in range(3 * k)]
    bv = [decode(b, i, d[1]) for i in range(n * k)]
    want = [nearest(sum(av[r * k + i] * bv[j * k + i] for i in range(k)),
                    "bf16") for r in range(3) for j in range(n)]
    check(T.values(out) == want, "grouped-matmul of NVFP4")


def nvfp4_weights(experts, rows, cols):
    """w and its scales, quantised by the operation."""
    x = T.pack("BF16", (experts, rows, cols),
               bf16(experts * rows * cols, 0.2))
    out = op("quantize", {"x": x}, "--to", "nvfp4", "--set",
             "global_scale=1024")
    return {"": out["y"], ".scale": out["y.scale"],
            ".decode_scale": T.pack("F32", (1,), [1 / 1024])}


def matmul(x, w, offset, decode):
    given = {"x": x["y"], "x.scale": x["y.scale"], "offset": offset,
             "x.decode_scale": T.pack("F32", (1,), [f32(decode)])}
    given.update({"w" + key: t for key, t in w.items()})
    return op("grouped-matmul", given, "--from", "nvfp4")["out"]


def check_layer():
    tokens, hidden, inter, experts = 7, 64, 32, 4
    model = ("model={name: x, source: t, hidden: 64, intermediate: 32, "
             "experts: 4, topk: 2, score: sigmoid, bias: true, renormalize: "
             "true, routed_scaling: 2.5, layers: 1, moe_layers: 1}")
    w13 = nvfp4_weights(experts, 2 * inter, hidden)
    w2 = nvfp4_weights(experts, hidden, inter)
    given = {
        "hidden": T.pack("BF16", (tokens, hidden), bf16(tokens * hidden)),
        "router": T.pack("BF16", (experts, hidden),
                         bf16(experts * hidden, 0.1)),
        "bias": T.pack("F32", (experts,), [0.5, 0.0, 0.25, -0.5])}
    given.update({"w13" + key: t for key, t in w13.items()})
    given.update({"w2" + key: t for key, t in w2.items()})
    out = op("moe-layer", given, "--set", model)
    route = op("route", {"logits": out["logits"], "bias": given["bias"]},
               "--set", model)
    check(all(route[a] == out[a] for a in route), "moe-layer: route")
    rows = op("permute", {"x": out["dispatch"], "topk_ids": out["topk_ids"]},
              "--set", "experts=4")
    x = op("quantize", {"x": rows["rows"]}, "--to", "nvfp4", "--set",
           "global_scale=672")
    check(x["y"] == out["expert_in"] and x["y.scale"] == out["expert_in.scale"],
          "moe-layer: permute, quantize")
    up = matmul(x, w13, rows["offset"], 1 / 672)
    check(up == out["gemm1_out"], "moe-layer: gemm1")
    act = op("activation", {"x": up})["out"]
    check(act == out["act_out"], "moe-layer: activation")
    x = op("quantize", {"x": act}, "--to", "nvfp4", "--set", "global_scale=42")
    check(x["y"] == out["gemm2_in"], "moe-layer: quantize")
    down = matmul(x, w2, rows["offset"], 1 / 42)
    check(down == out["gemm2_out"], "moe-layer: gemm2")
    total = op("unpermute", {"rows": down, "place": rows["place"],
                             "topk_weights": out["topk_weights"]})["out"]
    check(total == out["output"], "moe-layer: output")
    given["topk_ids"], given["topk_weights"] = (out["topk_ids"],
                                                out["topk_weights"])
    again = op("moe-layer", given, "--set", model)
    check(again["output"] == out["output"], "moe-layer: ids given")


check_convert()
check_quantize()
check_swizzle()
moved = check_rows(check_route())
check_experts(moved)
check_nvfp4_matmul()
check_layer()
sys.exit(failed != 0)
