# SPDX-License-Identifier: Apache-2.0
"""Tensors of the library as numpy arrays or torch tensors, without a copy."""

import ctypes

import numpy

try:
    import ml_dtypes
except ImportError:
    ml_dtypes = None

# element -> (plain numpy type, name in ml_dtypes, name in torch, elements in
# one of them)
ELEMENTS = {
    "bf16": ("uint16", "bfloat16", "bfloat16", 1),
    "fp16": ("float16", None, "float16", 1),
    "fp32": ("float32", None, "float32", 1),
    "fp64": ("float64", None, "float64", 1),
    "i32": ("int32", None, "int32", 1),
    "i64": ("int64", None, "int64", 1),
    "i8": ("int8", None, "int8", 1),
    "u8": ("uint8", None, "uint8", 1),
    "e4m3": ("uint8", "float8_e4m3fn", "float8_e4m3fn", 1),
    "e5m2": ("uint8", "float8_e5m2", "float8_e5m2", 1),
    "e8m0": ("uint8", "float8_e8m0fnu", "float8_e8m0fnu", 1),
    "e2m1": ("uint8", None, "float4_e2m1fn_x2", 2),
}


def _bytes(address, count, owner):
    """count bytes at an address; keeps their owner alive."""
    if count == 0:
        return numpy.empty(0, numpy.uint8)
    buffer = (ctypes.c_uint8 * count).from_address(address)
    buffer.owner = owner
    return numpy.frombuffer(buffer, numpy.uint8)


def is_byte(element):
    """True of elements that may come as bytes without a type of their own."""
    return ELEMENTS[element][0] == "uint8"


def cast_numpy(flat, element):
    plain, low, _, _ = ELEMENTS[element]
    if low is not None and ml_dtypes is not None:
        return flat.view(getattr(ml_dtypes, low))
    return flat.view(plain)


def _cast_torch(flat, element):
    import torch

    plain, _, name, _ = ELEMENTS[element]
    # numpy's arrays of the library are writable, so torch takes them as such
    tensor = torch.from_numpy(flat.view(plain if plain != "uint16"
                                        else "int16"))
    wanted = getattr(torch, name, None)
    return tensor if wanted is None else tensor.view(wanted)


def view(address, element, shape, owner, framework):
    """[shape] elements at an address; the last axis is packed as its type."""
    plain, _, _, packed = ELEMENTS[element]
    shape = (*shape[:-1], shape[-1] // packed)
    count = int(numpy.prod(shape, dtype=numpy.int64))
    flat = _bytes(address, count * numpy.dtype(plain).itemsize, owner)
    cast = _cast_torch if framework == "torch" else cast_numpy
    return cast(flat, element).reshape(shape)


def _element_of_numpy(array):
    name = array.dtype.name
    for element, (plain, low, _, _) in ELEMENTS.items():
        if name == low or (low is None and name == plain):
            return element
    return {"uint16": "bf16", "uint8": "u8"}.get(name)


def _element_of_torch(tensor):
    name = str(tensor.dtype).removeprefix("torch.")
    for element, (_, _, torch_name, _) in ELEMENTS.items():
        if name == torch_name:
            return element
    return None


def native(array):
    """An array's shape and numbers: linear, in this machine's byte order."""
    array = numpy.asarray(array, order="C")
    return array if array.dtype.isnative else \
        array.astype(array.dtype.newbyteorder("="))


def _read_torch(tensor):
    import torch

    tensor = tensor.detach().cpu().resolve_neg().contiguous()
    # a tensor without dimensions has no bytes' view
    flat = tensor.reshape(-1).view(torch.uint8).numpy()
    return _element_of_torch(tensor), flat, tuple(tensor.shape)


def _read_numpy(value):
    array = native(value)
    if array.dtype.hasobject:
        raise TypeError(f"{type(value).__name__} is no array of numbers")
    flat = array.reshape(-1).view(numpy.uint8)
    return _element_of_numpy(array), flat, array.shape


def read(value):
    """(element, linear and aligned numpy bytes, shape) of an array or a tensor.

    16-bit numbers without a type of their own (uint16) are bf16.
    """
    of = _read_torch if hasattr(value, "detach") else _read_numpy
    element, flat, shape = of(value)
    if element is None:
        dtype = (value if hasattr(value, "dtype") else
                 numpy.asarray(value)).dtype
        raise TypeError(f"elements of type {dtype} are none of moesim's")
    return element, flat if flat.ctypes.data % 8 == 0 else flat.copy(), shape


def narrow(element, array):
    """float32 or float16 bytes as bf16, if every element is one: a kernel's
    bf16 output in an array type without bf16."""
    wide = array.view(ELEMENTS[element][0]).astype("float32")
    bits = wide.view(numpy.uint32)
    if (bits & 0xffff).any():
        return element, array
    return "bf16", (bits >> 16).astype(numpy.uint16).view(numpy.uint8)


def cast_exact(array, wide, near):
    """Bytes of one float type as those of a narrower one, and the places of
    elements that it changes."""
    numbers = array.view(wide)
    with numpy.errstate(over="ignore", under="ignore", invalid="ignore"):
        less = numbers.astype(near)
        changed = (less != numbers) & ~numpy.isnan(numbers)
    return less.view(numpy.uint8), numpy.flatnonzero(changed)
