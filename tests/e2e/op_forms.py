# SPDX-License-Identifier: Apache-2.0
"""op_forms.py WORK: the forms of moesim op permute - group lists, blocks as
vLLM's moe_align_block_size makes them, capacity - against their definitions."""
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tensors as T  # noqa: E402

WORK = sys.argv[1]
draw = random.Random(2293)
os.environ["ASAN_OPTIONS"] = ("allocator_may_return_null=1:" +
                              os.environ.get("ASAN_OPTIONS", ""))


def check(good, what):
    print("%s: %s" % ("pass" if good else "FAIL", what))


def run(tensors, *settings, more=()):
    a, b = WORK + "/a.safetensors", WORK + "/b.safetensors"
    if os.path.exists(b):
        os.unlink(b)
    T.write(a, tensors)
    words = [w for s in settings for w in ("--set", s)]
    return subprocess.run([os.environ["MOESIM"], "op", "permute", "--in", a,
                           "--out", b, *words, *more], stderr=subprocess.PIPE,
                          text=True)


def permute(tensors, *settings, more=()):
    done = run(tensors, *settings, more=more)
    sys.stderr.write(done.stderr)
    done.check_returncode()
    return T.read(WORK + "/b.safetensors")


def some_ids(rows, topk, experts):
    """Experts of each row, here and there none."""
    ids = [e for _ in range(rows) for e in draw.sample(range(experts), topk)]
    return [-1 if draw.random() < 0.1 else e for e in ids]


def aligned(ids, first, experts, block):
    """Each expert's pairs in their order, filled up to whole blocks."""
    rows, of_block = [], []
    for e in range(experts):
        mine = [p for p, i in enumerate(ids) if i == first + e]
        mine += [len(ids)] * (-len(mine) % block)
        rows += mine
        of_block += [e] * (len(mine) // block)
    room = len(ids) + experts * (block - 1)
    if len(ids) < experts:  # moe_align_block_size.py
        room = min(room, len(ids) * block)
    blocks = -(-room // block)
    return (rows + [len(ids)] * (room - len(rows)),
            of_block + [0] * (blocks - len(of_block)), [len(rows)])


def names(out):
    return [out[n] for n in ("sorted_token_ids", "expert_ids",
                             "num_tokens_post_pad")]


def blocks():
    # the example that vLLM's docstring works out, its experts being 1 to 4
    ids = [2, 3, 4, 1, 2, 4, 1, 3, 4, 1, 2, 3]
    out = permute({"topk_ids": T.pack("I32", (4, 3), ids)}, "experts=4",
                  "first_expert=1", "block=4")
    check(T.values(out["sorted_token_ids"])[:16] ==
          [3, 6, 9, 12, 0, 4, 10, 12, 1, 7, 11, 12, 2, 5, 8, 12] and
          T.values(out["expert_ids"])[:4] == [0, 1, 2, 3] and
          T.values(out["num_tokens_post_pad"]) == [16],
          "permute: vLLM's own example of blocks")
    check("rows" not in out and "offset" in out, "permute: of ids alone")
    good = True
    for experts, first, block in ((16, 0, 1), (16, 0, 16), (7, 5, 4),
                                  (16, 0, 64), (3, 13, 3), (1, 2, 5)):
        ids = some_ids(37, 4, 16)
        out = permute({"topk_ids": T.pack("I64", (37, 4), ids)},
                      "experts=%d" % experts, "first_expert=%d" % first,
                      "block=%d" % block)
        want = [T.pack("I32", (len(v),), v)
                for v in aligned(ids, first, experts, block)]
        good &= names(out) == want
    check(good, "permute: blocks of one expert each, sizes, types and padding")
    few = permute({"topk_ids": T.pack("I32", (2, 2), [3, 9, 9, 12])},
                  "experts=16", "block=4")
    check([T.values(t) for t in names(few)] ==
          [[0, 4, 4, 4, 1, 2, 4, 4, 3, 4, 4, 4, 4, 4, 4, 4],
           [3, 9, 12, 0], [12]], "permute: blocks of fewer pairs than experts")
    none = permute({"topk_ids": T.pack("I32", (0, 2), [])}, "experts=2",
                   "block=4", "group_list=count")
    check(names(none) == [T.pack("I32", (0,), []), T.pack("I32", (0,), []),
                          T.pack("I32", (1,), [0])]
          and T.values(none["group_list"]) == [0, 0], "permute: of no rows")


def lists():
    ids = some_ids(29, 3, 12)
    x = list(range(29 * 8))
    given = {"x": T.pack("BF16", (29, 8), x),
             "topk_ids": T.pack("I32", (29, 3), ids)}
    count = [ids.count(e) for e in range(2, 11)]
    plain = permute(given, "experts=9", "first_expert=2")
    for word, want in (("count", count),
                       ("cumsum", [sum(count[:e + 1]) for e in range(9)])):
        out = permute(given, "experts=9", "first_expert=2",
                      "group_list=" + word)
        check(out.pop("group_list") == T.pack("I64", (9,), want),
              "permute: group_list=" + word)
        check(out == plain, "permute: and else what it is without")


def capacity():
    rows, topk, experts, cols = 31, 3, 10, 32
    ids = some_ids(rows, topk, experts + 2)
    x = [draw.randrange(0x4000) for _ in range(rows * cols)]
    given = {"x": T.pack("BF16", (rows, cols), x),
             "topk_ids": T.pack("I32", (rows, topk), ids)}
    for c in (1, 4, 40):
        pair = [-1] * (experts * c)
        place = [-1] * len(ids)
        for p, i in enumerate(ids):
            at = ids[:p].count(i)
            if 1 <= i <= experts and at < c:
                place[p] = (i - 1) * c + at
                pair[place[p]] = p
        out = permute(given, "experts=%d" % experts, "first_expert=1",
                      "capacity=%d" % c)
        want = [w for p in pair for w in (
            x[p // topk * cols:(p // topk + 1) * cols] if p >= 0 else
            [0] * cols)]
        check(out == {"rows": T.pack("BF16", (experts, c, cols), want),
                      "pair": T.pack("I64", (experts, c), pair),
                      "place": T.pack("I64", (rows, topk), place)},
              "permute: capacity of %d rows" % c)
    scaled = {"x": ("F8_E4M3", (2, 128), bytes([0x38] * 256)),
              "x.scale": T.pack("F32", (2, 1), [2.0, 4.0]),
              "topk_ids": T.pack("I32", (2, 1), [1, 1])}
    out = permute(scaled, "experts=2", "capacity=3", more=("--from", "fp8_1x128"))
    check(out["rows"][1] == (2, 3, 128) and
          out["rows"][2] == bytes(384) + bytes([0x38] * 256) + bytes(128) and
          out["rows.scale"] == T.pack("F32", (2, 3, 1),
                                      [0, 0, 0, 2.0, 4.0, 0]),
          "permute: capacity of rows with scales")


def back():
    """Rows of capacity form, by place, are the tokens again."""
    x = [float(i + 1) for i in range(6 * 16)]
    out = permute({"x": T.pack("F32", (6, 16), x),
                   "topk_ids": T.pack("I32", (6, 1), [2, 0, 1, 2, 2, 0])},
                  "experts=3", "capacity=2", more=("--from", "fp32"))
    T.write(WORK + "/a.safetensors", out)
    subprocess.run([os.environ["MOESIM"], "op", "unpermute", "--in",
                    WORK + "/a.safetensors", "--out", WORK + "/c.safetensors"],
                   check=True)
    x[4 * 16:5 * 16] = [0.0] * 16  # the third pair of expert 2
    check(T.values(T.read(WORK + "/c.safetensors")["out"]) == x,
          "unpermute: capacity form")


def refused():
    given = {"topk_ids": T.pack("I32", (2, 2), [0, 1, 1, 0])}
    for settings, more, told in (
            (["block=0"], (), "block: is '0', expected an integer from 1"),
            (["capacity=-1"], (), "capacity: is '-1', expected an integer"),
            (["group_list=sums"], (), "'sums', expected one of cumsum, count"),
            (["block=2", "capacity=2"], (), "capacity: is given with block"),
            (["group_list=count", "capacity=2"], (), "capacity: is given with"),
            (["block=2000000000"], (), "block: is 2000000000, which needs room "
             "for 4000000002 rows, expected at most 2147483647"),
            (["capacity=2"], (), ": x: is missing"),
            (["block=2"], ("--tensor", "x=y"), ": y: is missing"),
            ([], (), ": x: is missing")):
        done = run(given, "experts=2", *settings, more=more)
        check(done.returncode == 2 and told in done.stderr and
              not os.path.exists(WORK + "/b.safetensors"),
              "permute %s: refused" % " ".join(settings))
    given["x"] = T.pack("BF16", (2, 1), [0, 0])
    done = run(given, "experts=16777216", "capacity=2147483647")
    check(done.returncode == 3 and
          "no memory for 36028797002186752 rows" in done.stderr,
          "permute: a capacity beyond memory is told")


blocks()
lists()
capacity()
back()
refused()
