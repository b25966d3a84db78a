#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes moe/normal_quantiles.inc: half-normal quantiles as bf16 bits.

Entry i of N is the bf16 nearest to the quantile (i + 1/2) / N of |x|, x
standard normal. check_fill proves each entry again with MPFR.
"""
import struct
import sys
from statistics import NormalDist

N = 2048


def bf16(x):
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def main():
    q = [bf16(NormalDist().inv_cdf(0.5 + (i + 0.5) / (2 * N)))
         for i in range(N)]
    out = sys.stdout
    out.write("/* Written by tests/tools/normal_quantiles.py. */\n")
    for i in range(0, N, 8):
        out.write(", ".join("0x%04x" % v for v in q[i:i + 8]) + ",\n")


main()
