# SPDX-License-Identifier: Apache-2.0
"""golden_bounds.py GOLDEN: beside each tensor NAME of floats is NAME.abs, which
bounds it (a folder of exact sums) and is no larger than it need be; of what no
sum makes it is the magnitude."""
import json
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tensors as T  # noqa: E402

golden = sys.argv[1]
PARTS = (".abs", ".scale", ".decode_scale")
SUMS = ("logits", "gemm1_out", "gemm2_out", "combine", "output")


def numbers(tensor):
    kind, codes = tensor[0], T.values(tensor)
    if kind == "BF16":
        return [struct.unpack("<f", struct.pack("<I", c << 16))[0]
                for c in codes]
    if kind == "F16":
        return [struct.unpack("<e", struct.pack("<H", c))[0] for c in codes]
    return codes


failed = floats = 0
manifest = json.load(open(golden + "/manifest.json"))
for entry in manifest["ranks"]:
    file = T.read("%s/%s" % (golden, entry["file"]))
    for name, tensor in file.items():
        if name.endswith(PARTS) or tensor[0] not in ("BF16", "F16", "F32"):
            continue
        bound = file.get(name + ".abs", ("", (), b""))
        sizes = [abs(x) for x in numbers(tensor)]
        good = bound[:2] == ("F32", tensor[1])
        # the sums are rounded: at most half a step of bf16 beyond
        slack = 1 + 2 ** -8 if name in SUMS else 1
        good = good and all(x <= b * slack
                            for x, b in zip(sizes, T.values(bound)))
        if good and name not in SUMS:
            good = sizes == T.values(bound)
        # of random terms a sum is as large as the root of their number, and
        # the bound is at most 8 times the terms
        if good and name in SUMS and len(sizes) > 100:
            terms = manifest["k"].get(name, manifest["k"]["combine"])
            mean = sum(T.values(bound)) / len(sizes)
            good = mean <= 16 * terms ** 0.5 * sum(sizes) / len(sizes)
        floats += len(sizes) > 0
        if not good:
            failed += 1
            print("%s: %s.abs does not bound it" % (entry["file"], name))
sys.exit(failed != 0 or floats == 0)
