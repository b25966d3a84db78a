#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes safetensors files for the end-to-end tests, with struct alone.

make_inputs.py FOLDER: hidden.safetensors [16][256] bf16, gate.safetensors
[16][256] bf16, nan.safetensors with one NaN, inf.safetensors with
one -Inf, shape.safetensors with a wrong
shape, ids.safetensors with topk_ids [16][4], twice.safetensors with an
expert chosen twice, large.safetensors with an id of 2^40.
"""
import json
import random
import struct
import sys

T, H, E, K = 16, 256, 16, 4


def write(path, name, dtype, shape, data):
    header = json.dumps({name: {"dtype": dtype, "shape": shape,
                                "data_offsets": [0, len(data)]}}).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(header)) + header + data)


def bf16(x):
    return struct.unpack("<I", struct.pack("<f", x))[0] >> 16


def words(values):
    return b"".join(struct.pack("<H", v) for v in values)


def main():
    folder = sys.argv[1]
    draw = random.Random(7)
    hidden = [bf16(draw.gauss(0, 1)) for _ in range(T * H)]
    gate = [bf16(draw.gauss(0, 1 / 16)) for _ in range(E * H)]
    ids = [e for _ in range(T) for e in draw.sample(range(E), K)]
    write(folder + "/hidden.safetensors", "hidden", "BF16", [T, H],
          words(hidden))
    write(folder + "/gate.safetensors", "gate", "BF16", [E, H], words(gate))
    write(folder + "/shape.safetensors", "hidden", "BF16", [T, H // 2],
          words(hidden[:T * H // 2]))
    for name, bits in (("nan", 0x7FC0), ("inf", 0xFF80)):
        hidden[9 * H + 3] = bits
        write(f"{folder}/{name}.safetensors", "hidden", "BF16", [T, H],
              words(hidden))
    write(folder + "/ids.safetensors", "topk_ids", "I32", [T, K],
          struct.pack("<%di" % len(ids), *ids))
    ids[5 * K + 1] = ids[5 * K]
    write(folder + "/twice.safetensors", "topk_ids", "I32", [T, K],
          struct.pack("<%di" % len(ids), *ids))
    ids[5 * K + 1] = 2 ** 40
    write(folder + "/large.safetensors", "topk_ids", "I64", [T, K],
          struct.pack("<%dq" % len(ids), *ids))


main()
