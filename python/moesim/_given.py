# SPDX-License-Identifier: Apache-2.0
"""A caller's tensor of a stage as the library takes it: in the stage's type
if its numbers are of that, in the stage's shape, and whole."""

import math

import numpy

from moesim import _arrays
from moesim._library import MoesimError, Tensor, unknown

# names of a kernel's arguments for tensors of the chain
NAMES = {"x": "hidden"}
STAGES = ("x", "logits", "topk_ids", "topk_weights", "dispatch", "expert_in",
          "gemm1_out", "act_out", "gemm2_in", "gemm2_out", "combine", "output")
# stages with a row a pair: as many as the ids say that are given
OF_PAIRS = ("expert_in", "gemm1_out", "act_out", "gemm2_in", "gemm2_out")
FLOATS = ("bf16", "fp16", "fp32", "fp64")


def name_stages(out, stage, more):
    """{name in the library: value} of check's arguments, each stage once."""
    if not isinstance(stage, str):
        raise TypeError(f"stage is of type {type(stage).__name__}, expected a "
                        f"name, one of {' '.join(STAGES)}")
    stages = {}
    for name, value in [(stage, out), *more.items()]:
        inside = NAMES.get(name, name)
        if name not in STAGES and inside not in NAMES.values():
            raise unknown("stage", name, STAGES)
        if inside in stages:
            raise MoesimError(f"{name} is given twice: a stage is judged once")
        stages[inside] = value
    return stages


def _beyond(stage, ids):
    """A line about the first of ids that 32 bits do not hold, or none."""
    at = numpy.flatnonzero((ids < -2**31) | (ids >= 2**31))
    if at.size == 0:
        return ""
    place = ", ".join(str(i) for i in numpy.unravel_index(at[0], ids.shape))
    return (f"\n{stage}[{place}] is {ids.flat[at[0]]}, which does not fit "
            f"32 bits ({at.size} of {ids.size} do not)")


def _single(stage, wanted, array, shape):
    """float64 bytes as float32; refused unless each element is one."""
    narrowed, at = _arrays.cast_exact(array, "float64", "float32")
    if at.size == 0:
        return narrowed
    place = ", ".join(str(i) for i in numpy.unravel_index(at[0], shape))
    value = float(array.view(numpy.float64)[at[0]])
    raise MoesimError(
        f"{stage}[{place}] is {value!r} in a float64 array, which is no "
        f"float32 ({at.size} of {narrowed.size // 4} are none); round the "
        f"array to {wanted}, the type of the stage, before check()")


def _narrow(stage, wanted, element, array, shape):
    """Floats in the stage's type, as far as that loses nothing."""
    if element == "fp64" and wanted in FLOATS:
        element, array = "fp32", _single(stage, wanted, array, shape)
    if element in ("fp32", "fp16") and wanted == "bf16":
        return _arrays.narrow(element, array)
    if element == "fp32" and wanted == "fp16":
        narrowed, changed = _arrays.cast_exact(array, "float32", "float16")
        if changed.size == 0:
            return "fp16", narrowed
    return element, array


def _pair(stage, want, value):
    """(codes, scales) of what is given; None where a stage has no scales."""
    if not isinstance(value, tuple):
        return value, None
    if len(value) != 2:
        raise TypeError(f"{stage} is a tuple of {len(value)}, expected "
                        "an array, or (codes, scales)")
    if want.scale_dtype is None and value[1] is not None:
        raise TypeError(f"{stage} is {want.dtype.decode()}, which has no "
                        "scales, expected an array alone")
    return value


def _check_shape(stage, want, element, shape, rows):
    """Two dimensions, always; and the stage's, unless the library will refuse
    the type. Rows that are None are for the library to know."""
    wanted = want.dtype.decode()
    packed = _arrays.ELEMENTS[wanted][3]
    taken = (element == wanted or (element, wanted) == ("i64", "i32")
             or (element in FLOATS and wanted in FLOATS))
    if len(shape) == 2 and (not taken or (
            shape[1] == want.cols // packed and rows in (None, shape[0]))):
        return
    codes = ", two codes a byte" if packed == 2 else ""
    raise MoesimError(
        f"{stage} is of shape {tuple(shape)}, expected "
        f"({'rows' if rows is None else rows}, {want.cols // packed}){codes}")


def address(stage, element, array, shape):
    """Where the library reads `shape` elements: so many there are. Every array
    that it gets goes through here."""
    size = numpy.dtype(_arrays.ELEMENTS[element][0]).itemsize
    if array.nbytes != math.prod(shape) * size:
        raise MoesimError(f"{stage}: {array.nbytes} bytes, expected "
                          f"{math.prod(shape) * size} of {tuple(shape)} "
                          f"{element}")
    return array.ctypes.data


def _scales(stage, want, rows, scales):
    """Bytes of a tensor's scales: linear, of the right type and size."""
    wanted, right = want.scale_dtype.decode(), (rows, want.blocks)
    if scales is None:
        raise TypeError(f"{stage} is {want.dtype.decode()} and has no scales, "
                        f"expected (codes, scales) with {wanted} scales of "
                        f"shape {right}")
    element, array, shape = _arrays.read(scales)
    if (element not in (wanted, "u8" if _arrays.is_byte(wanted) else wanted)
            or shape != right):
        raise TypeError(f"scales of {stage} are {element} of shape "
                        f"{tuple(shape)}, expected {wanted} of shape {right}")
    return array


def read(stage, want, value, rows, notes):
    """(tensor, arrays that it borrows) of a value for a stage; what is to be
    told besides the verdict goes to notes."""
    codes, scales = _pair(stage, want, value)
    wanted = want.dtype.decode()
    element, array, shape = _arrays.read(codes)
    if element == "u8" and _arrays.is_byte(wanted):
        element = wanted  # codes without a type of their own
    _check_shape(stage, want, element, shape, rows)
    element, array = _narrow(stage, wanted, element, array, shape)
    if (element, wanted) == ("i64", "i32"):
        # torch's ids; what does not fit is no expert's either
        element, array = "i32", array.view("i8")
        notes.append(_beyond(stage, array.reshape(shape)))
        array = array.clip(-2**31, 2**31 - 1).astype("i4")
    got = Tensor(dtype=element.encode(), rows=shape[0],
                 cols=shape[1] * _arrays.ELEMENTS[element][3],
                 data=address(stage, element, array, shape))
    if want.scale_dtype is None or (scales is None and element != wanted):
        return got, [array]
    scales = _scales(stage, want, got.rows, scales)
    got.scale_dtype, got.blocks = want.scale_dtype, want.blocks
    got.scales = address(f"scales of {stage}", want.scale_dtype.decode(),
                         scales, (got.rows, got.blocks))
    return got, [array, scales]
