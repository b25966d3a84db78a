# SPDX-License-Identifier: Apache-2.0
"""libmoeref by ctypes: what ref/moeref_case.h declares, a rank's layer."""

import ctypes
import ctypes.util
import difflib
import os
import pathlib

OK = 0
ERR_UNSUPPORTED = 6
ERR_WRONG = 8


class MoesimError(ValueError):
    """What the library refused, in its words."""


class Tensor(ctypes.Structure):
    """moeref_tensor_t"""

    _fields_ = [
        ("dtype", ctypes.c_char_p),
        ("scale_dtype", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
        ("rows", ctypes.c_int64),
        ("cols", ctypes.c_int64),
        ("blocks", ctypes.c_int64),
        ("global_scale", ctypes.c_float),
        ("decode_scale", ctypes.c_float),
    ]


def _find():
    """$MOEREF_LIBRARY, the package's own, or the system's."""
    own = pathlib.Path(__file__).with_name("libmoeref.so")
    return (os.environ.get("MOEREF_LIBRARY")
            or (str(own) if own.exists() else None)
            or ctypes.util.find_library("moeref")
            or "libmoeref.so.0")


def _load():
    table = pathlib.Path(__file__).with_name("rcp_sm90.table")
    if table.exists():
        os.environ.setdefault("MOESIM_RCP_TABLE", str(table))
    library = ctypes.CDLL(_find())
    library.moeref_version.restype = ctypes.c_char_p
    library.moeref_error.restype = ctypes.c_char_p
    library.moeref_case_new.restype = ctypes.c_void_p
    library.moeref_case_new.argtypes = [ctypes.c_char_p]
    library.moeref_case_free.restype = None
    library.moeref_case_free.argtypes = [ctypes.c_void_p]
    library.moeref_case_tensor.argtypes = [
        ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(Tensor)]
    library.moeref_case_check.argtypes = [
        ctypes.c_void_p, ctypes.POINTER(ctypes.c_char_p),
        ctypes.POINTER(Tensor), ctypes.c_int, ctypes.c_char_p,
        ctypes.c_size_t]
    return library


library = _load()


def version():
    """Version of the library that runs."""
    return library.moeref_version().decode()


def error():
    """Why the last call failed."""
    return MoesimError(library.moeref_error().decode() or "libmoeref failed")


def unknown(what, name, known):
    """A name that there is not: the nearest of the known ones, or a few."""
    near = difflib.get_close_matches(name, known, 1)
    hint = (f"; did you mean {near[0]}?" if near else
            f", expected one of {' '.join(known)}" if len(known) < 16 else "")
    return MoesimError(f"{what} {name!r} is unknown{hint}")
