# SPDX-License-Identifier: Apache-2.0
"""safetensors as numpy arrays: golden folders, and what check reads.

Two 4-bit codes are a byte, low nibble first; types that numpy has not are
those of ml_dtypes where that is installed, else bare bits.
"""

import json
import math

import numpy

from moesim import _arrays
from moesim._library import MoesimError

# element -> dtype in a file; U8 and U16 of a file are plain numbers
DTYPES = {"bf16": "BF16", "fp16": "F16", "fp32": "F32", "fp64": "F64",
          "i8": "I8", "i32": "I32", "i64": "I64", "u8": "U8",
          "e4m3": "F8_E4M3", "e5m2": "F8_E5M2", "e8m0": "F8_E8M0",
          "e2m1": "F4"}
PLAIN = {"U16": "uint16", "I16": "int16"}
MOST_DIMENSIONS = 32  # of an array, in all versions of numpy
MOST_ELEMENTS = 2**60  # without its empty dimensions: bytes fit 63 bits


def _array(raw, dtype, shape):
    element = next((e for e, d in DTYPES.items() if d == dtype), None)
    if element is None and dtype not in PLAIN:
        raise MoesimError(f"dtype {dtype} is none of moesim's")
    if element is None:
        return raw.view(PLAIN[dtype]).reshape(shape)
    if element == "e2m1":
        shape = [*shape[:-1], shape[-1] // 2]
    return _arrays.cast_numpy(raw, element).reshape(shape)


def _refuse(path, offset, what):
    raise MoesimError(f"{path}: byte {offset}: {what}")


def _header(path, raw):
    """Names to dtype, shape and offsets; where the data begin."""
    length = int.from_bytes(raw[:8].tobytes(), "little")
    start = 8 + length
    if raw.size < 8 or start > raw.size:
        _refuse(path, 0, f"header of {length} bytes in a file of {raw.size}, "
                "expected a safetensors file, whole")

    def once(pairs):
        names = [name for name, _ in pairs]
        for i, name in enumerate(names):
            if name in names[:i]:
                _refuse(path, 8, f"'{name}' is there twice, expected once")
        return dict(pairs)

    try:
        header = json.loads(raw[8:start].tobytes(), object_pairs_hook=once)
    except (ValueError, RecursionError) as problem:
        if isinstance(problem, MoesimError):
            raise
        _refuse(path, 8 + getattr(problem, "pos", 0),
                f"the header is no JSON: {problem}")
    if not isinstance(header, dict):
        _refuse(path, 8, "the header is no JSON object")
    header.pop("__metadata__", None)
    return header, start


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_whole(about):
    """dtype, shape and data_offsets, of the right kinds."""
    return (isinstance(about, dict) and isinstance(about.get("dtype"), str)
            and isinstance(about.get("shape"), list)
            and all(map(_is_count, about["shape"]))
            and isinstance(about.get("data_offsets"), list)
            and len(about["data_offsets"]) == 2
            and all(map(_is_count, about["data_offsets"])))


def _size(path, name, about):
    """Bytes of a tensor's shape."""
    if not _is_whole(about):
        _refuse(path, 8, f"tensor '{name}': expected dtype, shape and "
                "data_offsets")
    dtype, shape = about["dtype"], about["shape"]
    element = next((e for e, d in DTYPES.items() if d == dtype), None)
    if element is None and dtype not in PLAIN:
        _refuse(path, 8, f"tensor '{name}': dtype {dtype} is none of moesim's")
    if len(shape) > MOST_DIMENSIONS or \
            math.prod(n for n in shape if n > 0) > MOST_ELEMENTS:
        _refuse(path, 8, f"tensor '{name}': shape {shape} is too large for an "
                "array")
    if element == "e2m1" and (not shape or shape[-1] % 2 != 0):
        _refuse(path, 8, f"tensor '{name}': shape {shape} of F4, expected "
                "rows of whole bytes, two codes each")
    bits = 16 if element is None else 4 if element == "e2m1" else \
        8 * numpy.dtype(_arrays.ELEMENTS[element][0]).itemsize
    return math.prod(shape) * bits // 8


def _cover(path, header, start, size):
    """Tensors lie one behind the other, in the order of the header."""
    at = start
    for name, about in header.items():
        first, end = about["data_offsets"]
        if start + first != at:
            _refuse(path, start + first, f"tensor '{name}' " + (
                "overlaps the one before it" if start + first < at
                else "is not the next one in the data: unsorted, or a hole"))
        at = start + end
        if at > size:
            _refuse(path, size, f"the file ends within tensor '{name}', "
                    f"expected {at} bytes")
    if at != size:
        _refuse(path, at, f"{size - at} bytes that belong to no tensor")


def load(path):
    """Tensors of a safetensors file: {name: array}. MoesimError, with file and
    byte, if it is not whole, names a tensor twice, or tensors overlap or are
    not in order of their data."""
    raw = numpy.fromfile(path, numpy.uint8)
    header, start = _header(path, raw)
    for name, about in header.items():
        size = _size(path, name, about)
        first, end = about["data_offsets"]
        if end - first != size:
            _refuse(path, start + first, f"tensor '{name}' has {end - first} "
                    f"bytes, expected {size} of its shape")
    _cover(path, header, start, raw.size)
    tensors = {}
    for name, about in header.items():
        first, end = about["data_offsets"]
        # a copy: aligned to its type
        tensors[name] = _array(raw[start + first:start + end].copy(),
                               about["dtype"], about["shape"])
    return tensors


def save(path, tensors):
    """Write {name: array} as a safetensors file."""
    header, arrays, at = {}, [], 0
    for name, array in tensors.items():
        array = _arrays.native(array)
        plain = next((d for d, n in PLAIN.items() if n == array.dtype.name),
                     None)
        dtype = plain or DTYPES[_arrays.read(array)[0]]
        header[name] = {"dtype": dtype, "shape": array.shape,
                        "data_offsets": [at, at + array.nbytes]}
        arrays.append(array)
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays:
            file.write(array.tobytes())
