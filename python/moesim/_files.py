# SPDX-License-Identifier: Apache-2.0
"""safetensors as numpy arrays: golden folders, and what check reads.

Two 4-bit codes are a byte, low nibble first; types that numpy has not are
those of ml_dtypes where that is installed, else bare bits.
"""

import json

import numpy

from moesim import _arrays
from moesim._library import MoesimError

# element -> dtype in a file; U8 and U16 of a file are plain numbers
DTYPES = {"bf16": "BF16", "fp16": "F16", "fp32": "F32", "fp64": "F64",
          "i8": "I8", "i32": "I32", "i64": "I64", "u8": "U8",
          "e4m3": "F8_E4M3", "e5m2": "F8_E5M2", "e8m0": "F8_E8M0",
          "e2m1": "F4"}
PLAIN = {"U16": "uint16", "I16": "int16"}


def _array(raw, dtype, shape):
    element = next((e for e, d in DTYPES.items() if d == dtype), None)
    if element is None and dtype not in PLAIN:
        raise MoesimError(f"dtype {dtype} is none of moesim's")
    if element is None:
        return raw.view(PLAIN[dtype]).reshape(shape)
    if element == "e2m1":
        shape = [*shape[:-1], shape[-1] // 2]
    return _arrays.cast_numpy(raw, element).reshape(shape)


def load(path):
    """Tensors of a safetensors file: {name: array}."""
    raw = numpy.fromfile(path, numpy.uint8)
    start = 8 + int.from_bytes(raw[:8].tobytes(), "little")
    if not 8 < start <= raw.size:
        raise MoesimError(f"{path}: is no safetensors file")
    header = json.loads(raw[8:start].tobytes())
    header.pop("__metadata__", None)
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
        array = numpy.ascontiguousarray(array)
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
