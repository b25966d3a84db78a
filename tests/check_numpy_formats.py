#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libmoeref against numpy and ml_dtypes: conversions, te-exact, layouts.

ml_dtypes gives its own codes to NaN and rounds to E8M0 otherwise: NaN is
compared as such, E8M0 with numpy's frexp. Skipped where the two packages are
not, unless MOESIM_REQUIRE_DATA is 1.
"""
import ctypes
import os
import sys

try:
    import ml_dtypes
    import numpy as np
except ImportError as error:
    print(f"{error}: pip install numpy ml_dtypes")
    sys.exit(1 if os.environ.get("MOESIM_REQUIRE_DATA") == "1" else 77)

import numpy_nvfp4

STRIDE = 1009  # over the 2^32 floats; prime
ROUNDED = {"bf16": ml_dtypes.bfloat16, "fp16": np.float16,
           "e2m1": ml_dtypes.float4_e2m1fn,
           "e4m3_nosat": ml_dtypes.float8_e4m3fn,
           "e5m2_nosat": ml_dtypes.float8_e5m2}
SATURATED = {"e4m3": (ml_dtypes.float8_e4m3fn, 448),
             "e5m2": (ml_dtypes.float8_e5m2, 57344)}
DECODED = {"bf16": (ml_dtypes.bfloat16, 1 << 16), "fp16": (np.float16, 1 << 16),
           "e2m1": (ml_dtypes.float4_e2m1fn, 16),
           "e4m3": (ml_dtypes.float8_e4m3fn, 256),
           "e5m2": (ml_dtypes.float8_e5m2, 256),
           "e8m0": (ml_dtypes.float8_e8m0fnu, 256)}


def load():
    folder = os.path.join(os.environ["top_builddir"], ".libs")
    path = os.path.join(folder, "libmoeref.so")
    if not os.path.exists(path):
        print("no shared libmoeref in this build")
        sys.exit(77)
    with open(path, "rb") as file:
        if b"__asan_init" in file.read():
            print("sanitizers in libmoeref: tested in a build without")
            sys.exit(77)
    return ctypes.CDLL(path)


def call(function, *arguments):
    """Call with arrays as pointers; an error is one here."""
    values = [a.ctypes.data_as(ctypes.c_void_p) if isinstance(a, np.ndarray)
              else a for a in arguments]
    status = function(*values)
    assert status == 0, (function.__name__, status)


def size(n):
    return ctypes.c_size_t(n)


def code_type(name):
    return np.uint16 if name in ("bf16", "fp16") else np.uint8


def encode(lib, name, x):
    codes = np.empty(x.shape, code_type(name))
    call(lib.moeref_encode, name.encode(), x, size(x.size), codes)
    return codes


def decode(lib, name, codes):
    x = np.empty(codes.shape, np.float32)
    call(lib.moeref_decode, name.encode(), codes, size(codes.size), x)
    return x


def floats():
    bits = np.arange(0, 1 << 32, STRIDE, np.uint64).astype(np.uint32)
    return bits.view(np.float32)


def expect_same(what, x, got, want):
    wrong = np.flatnonzero(got != want)
    assert wrong.size == 0, (
        f"{what}: {wrong.size} differ, first {x.flat[wrong[0]]!r}: "
        f"{got.flat[wrong[0]]:#x}, expected {want.flat[wrong[0]]:#x}")


def check_encoders(lib, x):
    number = ~np.isnan(x)
    for name, dtype in ROUNDED.items():
        got = encode(lib, name, x)
        want = x.astype(dtype)
        # NaN made of a number, as E4M3 does, has a code of its own
        expect_same(name, x[number], got[number],
                    want.view(code_type(name))[number])
        if name != "e2m1":
            assert np.isnan(decode(lib, name.split("_")[0], got)[~number]).all()
    for name, (dtype, most) in SATURATED.items():
        want = np.clip(x, -most, most).astype(dtype).view(np.uint8)
        expect_same(name, x[number], encode(lib, name, x)[number],
                    want[number])


def check_powers(lib, x):
    """E8M0 by the exponents of |x|: 2^(e - 1) <= |x| < 2^e."""
    x = x[np.isfinite(x) & (x != 0)]
    fraction, exponent = np.frexp(np.abs(x.astype(np.float64)))
    down = np.clip(exponent - 1 + 127, 0, 254)
    up = np.clip(np.where(fraction == 0.5, exponent - 1, exponent) + 127,
                 0, 255)
    expect_same("e8m0", x, encode(lib, "e8m0", x), np.minimum(up, 254))
    expect_same("e8m0_nosat", x, encode(lib, "e8m0_nosat", x), up)
    expect_same("e8m0_zero", x, encode(lib, "e8m0_zero", x), down)
    expect_same("e8m0_zero_nosat", x, encode(lib, "e8m0_zero_nosat", x), down)


def check_decoders(lib):
    for name, (dtype, n) in DECODED.items():
        codes = np.arange(n).astype(code_type(name))
        got = decode(lib, name, codes)
        want = codes.view(dtype).astype(np.float32)
        number = ~np.isnan(want)
        assert np.isnan(got[~number]).all(), name
        expect_same(name, codes[number], got[number].view(np.uint32),
                    want[number].view(np.uint32))


def check_te_exact(lib):
    rng = np.random.default_rng(7667)
    x = rng.standard_normal((256, 2048), np.float32)
    x *= np.exp2(rng.integers(-30, 8, (256, 128))).astype(
        np.float32).repeat(16, axis=1)
    x = x.astype(ml_dtypes.bfloat16)
    x.view(np.uint16)[0] = rng.integers(0, 1 << 16, 2048, np.uint16)
    for global_scale in (1, 448, 2688 / 3.7, 2688 / 300):
        codes = np.empty((x.size // 16, 8), np.uint8)
        scales = np.empty((x.size // 16), np.uint8)
        call(lib.moeref_nvfp4_quantize_bf16, x, size(x.shape[0]),
             size(x.shape[1]), ctypes.c_float(global_scale), codes, scales)
        want_codes, want_scales = numpy_nvfp4.quantize(x, global_scale)
        expect_same("te-exact scales", scales, scales, want_scales)
        expect_same("te-exact codes", codes, codes, want_codes)


def tiled(scales, inner, outer):
    """[row tiles][block tiles][inner][outer][4] of the padded scales."""
    rows, blocks = scales.shape
    height = inner * outer
    padded = np.pad(scales, ((0, -rows % height), (0, -blocks % 4)))
    view = padded.reshape(-1, outer, inner, padded.shape[1] // 4, 4)
    return np.ascontiguousarray(view.transpose(0, 3, 2, 1, 4)).reshape(-1)


def check_layouts(lib):
    rng = np.random.default_rng(128)
    for layout, inner, outer in ((1, 32, 4), (2, 8, 1)):
        for rows, blocks in ((1, 1), (7, 3), (130, 5), (300, 448)):
            scales = rng.integers(1, 255, (rows, blocks), np.uint8)
            want = tiled(scales, inner, outer)
            got = np.empty_like(want)
            call(lib.moeref_scales_swizzle, layout, size(rows), size(blocks),
                 scales, got)
            expect_same("swizzle", got, got, want)
            back = np.empty_like(scales)
            call(lib.moeref_scales_unswizzle, layout, size(rows), size(blocks),
                 got, back)
            expect_same("unswizzle", back, back, scales)


def main():
    lib = load()
    x = floats()
    with np.errstate(all="ignore"):
        check_encoders(lib, x)
        check_powers(lib, x)
        check_decoders(lib)
        check_te_exact(lib)
    check_layouts(lib)
    print(f"numpy {np.__version__}, ml_dtypes {ml_dtypes.__version__} agree")


if __name__ == "__main__":
    main()
