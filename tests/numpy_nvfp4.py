#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""NVFP4 by te-exact with numpy and ml_dtypes, as one writes it there.

By itself: print the bytes read and written a second of the thread's own time,
median of five, for tests/bench/bench_quantize.c.
"""
import statistics
import time

import ml_dtypes
import numpy as np

BLOCK = 16


def quantize(x, global_scale):
    """(packed codes, scales as bytes) of bf16 x, its last axis in blocks."""
    gs = np.float32(global_scale)
    x = x.astype(np.float32).reshape(-1, BLOCK)
    amax = np.fmax.reduce(np.abs(x), axis=1, initial=np.float32(0))
    with np.errstate(all="ignore"):
        factor = gs * np.float32(1 / np.float32(6))
        scale = np.minimum(amax * factor, np.float32(448))
        scale = scale.astype(ml_dtypes.float8_e4m3fn)
        multiplier = np.float32(1) / (scale.astype(np.float32)
                                      * (np.float32(1) / gs))
        multiplier = np.minimum(multiplier, np.finfo(np.float32).max)
        y = x * multiplier[:, None]
        codes = np.clip(y, -6, 6).astype(ml_dtypes.float4_e2m1fn)
    codes = codes.view(np.uint8)
    codes[np.isnan(y)] = 7
    codes = codes.reshape(-1, BLOCK // 2, 2)
    return codes[..., 0] | codes[..., 1] << 4, scale.view(np.uint8)


def main():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2048, 8192), np.float32)
    x = x.astype(ml_dtypes.bfloat16)
    seconds = []
    for _ in range(5):
        start = time.thread_time()
        codes, scales = quantize(x, 2688 / 5.3)
        seconds.append(time.thread_time() - start)
    size = x.nbytes + codes.nbytes + scales.nbytes
    print(size / statistics.median(seconds))


if __name__ == "__main__":
    main()
