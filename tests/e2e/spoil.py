#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""spoil.py IN OUT CHANGE...: a safetensors file with mistakes in it.

keep:A,B          only these tensors (and their scales and identities)
nan:NAME          a NaN in element 7
widen:NAME        BF16 as F32, the same numbers
zero-row:NAME:R   row R is 0
zero:NAME         all of it is 0
drop:NAME         it is not there
flip:NAME[:AT]    the lowest bit of byte 5, or AT
nibbles:NAME      high and low nibble of every byte exchanged
scale:NAME        byte 3 of NAME.scale is one more
shift:NAME        rows move by one
shuffle           rows of pairs in another order, with their identities
drop-row          the last pair is missing
pad               two rows of NaN behind the pairs, valid_rows says so
swap-columns      ids and weights in another order of columns
other-expert      a token goes to another expert
id:ROW:ID         a token goes to expert ID, which may be none
i64               ids as 64-bit integers
huge:NAME         NAME has 2^30 rows: a header over a sparse file
bits:NAME:AT:HEX  16 bits of an element
rename:NAME:NEW   it has another name
type:NAME:TYPE    its bytes are of another type of the same width
"""
import json
import math
import struct
import sys

PAIRED = ("expert_in", "gemm1_out", "act_out", "gemm2_in", "gemm2_out")
NAMES = ("src_rank", "src_token", "slot", "expert", "physical_expert")


def read(path):
    with open(path, "rb") as file:
        data = file.read()
    size = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + size])
    return {name: [e["dtype"], e["shape"],
                   bytearray(data[8 + size + e["data_offsets"][0]:
                                  8 + size + e["data_offsets"][1]])]
            for name, e in head.items()}


def write(path, tensors):
    head, at = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        size = len(data) if data is not None else 2 * math.prod(shape)
        head[name] = {"dtype": dtype, "shape": shape,
                      "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(head).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape, data in tensors.values():
            if data is None:  # a hole
                file.seek(2 * math.prod(shape), 1)
            else:
                file.write(data)
        file.truncate(8 + len(text) + at)


def rows_of(tensor):
    n = tensor[1][0]
    size = len(tensor[2]) // n if n else 0
    return [bytes(tensor[2][i * size:(i + 1) * size]) for i in range(n)]


def set_rows(tensor, rows):
    tensor[2] = bytearray(b"".join(rows))
    tensor[1] = [len(rows)] + tensor[1][1:]


def is_paired(name):
    return name.removesuffix(".scale") in PAIRED or name in NAMES


def each_pair(tensors, change):
    for name in tensors:
        if is_paired(name):
            set_rows(tensors[name], change(rows_of(tensors[name])))


def swap_columns(tensors):
    for name in ("topk_ids", "topk_weights"):
        k = tensors[name][1][1]
        out = [b"".join(row[4 * i:4 * i + 4] for i in reversed(range(k)))
               for row in rows_of(tensors[name])]
        set_rows(tensors[name], out)


def apply(tensors, change):
    what, _, rest = change.partition(":")
    name, _, more = rest.partition(":")
    if what == "keep":
        keep = rest.split(",") + list(NAMES)
        for other in list(tensors):
            if other.removesuffix(".scale") not in keep:
                del tensors[other]
    elif what == "nan":
        tensors[name][2][14:16] = b"\xc0\x7f"
    elif what == "zero-row":
        rows = rows_of(tensors[name])
        rows[int(more)] = bytes(len(rows[0]))
        set_rows(tensors[name], rows)
    elif what == "zero":
        tensors[name][2][:] = bytes(len(tensors[name][2]))
    elif what == "drop":
        del tensors[name]
    elif what == "flip":
        tensors[name][2][int(more or 5)] ^= 1
    elif what == "nibbles":
        tensors[name][2][:] = bytes((b << 4 | b >> 4) & 255
                                    for b in tensors[name][2])
    elif what == "scale":
        tensors[name + ".scale"][2][3] += 1
    elif what == "shift":
        rows = rows_of(tensors[name])
        set_rows(tensors[name], rows[1:] + rows[:1])
    elif what == "shuffle":
        each_pair(tensors, lambda rows: rows[1::2] + rows[0::2])
    elif what == "turn-experts":
        who = struct.unpack("<%di" % tensors["expert"][1][0],
                            tensors["expert"][2])
        order = sorted(range(len(who)), key=lambda i: (who[i], -i))
        each_pair(tensors, lambda rows: [rows[i] for i in order])
    elif what == "drop-row":
        each_pair(tensors, lambda rows: rows[:-1])
    elif what == "pad":
        n = tensors["expert"][1][0]
        each_pair(tensors, lambda rows: rows + [b"\xff" * len(rows[0])] * 2)
        tensors["valid_rows"] = ["I64", [1], bytearray(struct.pack("<q", n))]
    elif what == "swap-columns":
        swap_columns(tensors)
    elif what == "other-expert":
        tensors["topk_ids"][2][0:4] = struct.pack(
            "<i", (tensors["topk_ids"][2][0] + 1) % 16)
    elif what == "id":
        at = int(name) * tensors["topk_ids"][1][1]
        size, letter = ((8, "<q") if tensors["topk_ids"][0] == "I64" else
                        (4, "<i"))
        tensors["topk_ids"][2][size * at:size * at + size] = struct.pack(
            letter, int(more))
    elif what == "widen":
        t = tensors[name]
        tensors[name] = ["F32", t[1], bytearray(b"".join(
            b"\0\0" + t[2][i:i + 2] for i in range(0, len(t[2]), 2)))]
    elif what == "i64":
        t = tensors["topk_ids"]
        ids = struct.unpack("<%di" % (len(t[2]) // 4), t[2])
        tensors["topk_ids"] = ["I64", t[1],
                               bytearray(struct.pack("<%dq" % len(ids), *ids))]
    elif what == "huge":
        tensors[name] = [tensors[name][0], [1 << 30] + tensors[name][1][1:],
                         None]
    elif what == "rename":
        tensors[more] = tensors.pop(name)
    elif what == "type":
        tensors[name][0] = more
    elif what == "bits":
        at, _, code = more.partition(":")
        tensors[name][2][2 * int(at):2 * int(at) + 2] = struct.pack(
            "<H", int(code, 16))
    else:
        raise SystemExit(f"spoil.py: {change}?")


def main():
    tensors = read(sys.argv[1])
    for change in sys.argv[3:]:
        apply(tensors, change)
    write(sys.argv[2], tensors)


if __name__ == "__main__":
    main()
