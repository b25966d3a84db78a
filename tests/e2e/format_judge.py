# SPDX-License-Identifier: Apache-2.0
"""format_judge.py GOLDEN FORMAT WORK: sums of a golden folder (weights local,
expert_bias) whose matmuls read FORMAT, made again by `moesim op` from its files
alone."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tensors as T  # noqa: E402

golden, form, work = sys.argv[1:4]
PARTS = ("", ".scale", ".decode_scale")


def product(r, x, w, offset):
    a, b = work + "/a.safetensors", work + "/b.safetensors"
    given = {to + part: r[name + part] for to, name in (("x", x), ("w", w))
             for part in PARTS if name + part in r}
    given["bias"] = r[w + ".bias"]
    T.write(a, {**given, "offset": T.pack("I64", (len(offset),), offset)})
    subprocess.run([os.environ["MOESIM"], "op", "grouped-matmul", "--in", a,
                    "--out", b, "--from", form], check=True)
    return T.read(b)["out"]


rows = 0
for entry in json.load(open(golden + "/manifest.json"))["ranks"]:
    r = T.read("%s/%s" % (golden, entry["file"]))
    expert = T.values(r["expert"])
    first, end = entry["experts"]
    offset = [sum(e < first + i for e in expert)
              for i in range(end - first + 1)]
    for x, w, out in (("expert_in", "w13", "gemm1_out"),
                      ("gemm2_in", "w2", "gemm2_out")):
        if product(r, x, w, offset)[1:] != r[out][1:]:
            sys.exit("%s: %s is not the product" % (entry["file"], out))
    rows += len(expert)
sys.exit(rows == 0)
