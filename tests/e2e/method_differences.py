# SPDX-License-Identifier: Apache-2.0
"""method_differences.py REPORT FOLDER "LABEL...": methods[].to_first of a report
against the outputs in FOLDER/LABEL/golden, added up here."""
import json
import struct
import sys

import tensors


def output(folder):
    """bf16 codes of all tokens; ranks with the same tokens have the same."""
    manifest = json.load(open(folder + "/manifest.json"))
    parts = {}
    for rank in range(len(manifest["ranks"])):
        file = tensors.read("%s/rank-%04d.safetensors" % (folder, rank))
        first = manifest["ranks"][rank]["tokens"][0]
        codes = tensors.values(file["output"]) if "output" in file else []
        if codes:
            assert parts.setdefault(first, codes) == codes
    return [c for first in sorted(parts) for c in parts[first]]


def value(code):
    return struct.unpack("<f", struct.pack("<I", code << 16))[0]


def step(code):
    return -(code & 0x7FFF) if code & 0x8000 else code


def distance(ref, got):
    pairs = list(zip(ref, got, strict=True))
    diff = sum((value(b) - value(a)) ** 2 for a, b in pairs)
    norm = sum(value(a) ** 2 for a, _ in pairs)
    return {"elements_compared": len(pairs),
            "elements_differing": sum(a != b for a, b in pairs),
            "max_ulp": max(abs(step(a) - step(b)) for a, b in pairs),
            "relative_l2": (diff / norm) ** 0.5}


def main(report, folder, labels):
    methods = {m["label"]: m for m in json.load(open(report))["methods"]}
    out = {name: output("%s/%s/golden" % (folder, name)) for name in labels}
    nulls = [m for m in methods if methods[m]["to_first"] is None]
    assert nulls == ["nothing", labels[0]], nulls
    for name in labels[1:]:
        got = methods[name]["to_first"]
        want = distance(out[labels[0]], out[name])
        assert got.pop("method") == labels[0], got
        far = abs(got.pop("relative_l2") - want.pop("relative_l2"))
        assert far < 1e-12 and got == want, (name, got, want, far)


main(sys.argv[1], sys.argv[2], sys.argv[3].split())
