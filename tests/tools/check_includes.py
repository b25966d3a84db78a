#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The direction of includes.

base <- moe <- {ref, gpu, models} <- sim; reports <- base only. ref/mpi/ alone
includes mpi.h; a method includes moe/method.h and nothing else. The folders of
sim/ stand in one line, each on the ones before it. The oracle,
ref/oracle*, shares with the stages what a list here names, and they take
nothing from it.
"""
import os
import re

import source_tree

# What a folder may include besides itself; the longest name that fits counts.
ARROWS = {
    "base": set(),
    "moe": {"base"},
    "ref": {"base", "moe"},
    "ref/mpi": {"base", "moe", "ref"},
    "gpu": {"base", "moe"},
    "models": {"base", "moe"},
    "reports": {"base"},
    "sim/methods": {"base", "moe"},
}

# The folders of the program: each may include what stands before it, and all
# that the program may.
PROGRAM = ["sim/data", "sim/scenario", "sim/options", "sim/launch",
           "sim/report", "sim/inputs", "sim/price", "sim/golden", "sim/run",
           "sim/check", "sim/op", "sim/list", "sim/doctor", "sim"]
ALL = {"base", "moe", "ref", "ref/mpi", "gpu", "models", "reports",
       "sim/methods"}
ARROWS.update({folder: ALL | set(PROGRAM[:i])
               for i, folder in enumerate(PROGRAM)})
ARROWS["tests"] = ALL | set(PROGRAM)

# libmoeref's header, and its parts.
PUBLIC = {"ref/moeref.h"} | {
    f"ref/moeref_{part}.h" for part in
    ("base", "case", "number", "nvfp4", "profile", "scales")}

# Which folders, and single files, may include a library's header. doctor tests
# the BLAS itself.
LIBRARIES = {
    r"mpi\.h": {"ref/mpi", "tests"},
    r"(cblas|openblas_config|f77blas)\.h": {"ref", "sim/doctor/blas_test.c",
                                          "tests"},
    r"(mpfr|gmp)\.h": {"ref", "tests"},
    r"yaml\.h": {"base", "tests"},
    r"jansson\.h": {"base", "ref/mpi", "reports", "sim", "tests"},
    r"(cuda.*|nccl|cublas.*)\.h": {"gpu"},
    r"check\.h": {"tests"},
}

# What others may ask it by.
ORACLE_ASKED = {"ref/oracle.h", "ref/oracle_gating.h"}

# What the oracle may share with the stages: vocabulary, inputs, conversions of
# formats, and the measured table that no second implementation can derive.
ORACLE_MAY = {"base/hot.h", "base/status.h",
              "moe/chain.h", "moe/draw.h", "moe/fill_rows.h", "moe/gating.h",
              "moe/layer.h",
              "moe/model.h", "ref/formats.h", "ref/rcp_table.h"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def folder_of(path):
    names = [name for name in ARROWS if path.startswith(name + "/")]
    return max(names, key=len) if names else None


def is_method(path):
    return (path.startswith("sim/methods/") and path.endswith(".c")
            and path != "sim/methods/registry.c")


def is_oracle(path):
    return path.startswith("ref/oracle")


def oracle(path, name):
    """What is wrong between the oracle and the rest."""
    if is_oracle(path) and not is_oracle(name) and name not in ORACLE_MAY:
        return f"the oracle must not share {name} with the stages"
    if is_oracle(name) and not (is_oracle(path) or path.startswith("tests/")
                                or name in ORACLE_ASKED):
        return f"{name} is the oracle's own"
    if name in ORACLE_ASKED and folder_of(path).startswith("ref") \
            and not is_oracle(path):
        return "a stage must not ask the oracle"
    return None


def is_public(path):
    return path in PUBLIC


def public(name):
    """What is installed finds its parts beside it, and nothing else of ours."""
    if f"ref/{name}" in PUBLIC:
        return None
    return "a public header includes no other of ours but its parts"


def quoted(top, path, name):
    """What is wrong with #include "name" in path; None if nothing is."""
    if name == "config.h":
        return None
    if is_public(path):
        return public(name)
    if not os.path.isfile(os.path.join(top, name)):
        return f'"{name}" is no file of the tree, written from its top'
    mine, other = folder_of(path), folder_of(name)
    if oracle(path, name) is not None:
        return oracle(path, name)
    if other is None or (other != mine and other not in ARROWS[mine]):
        return f"{mine}/ must not include {other}/"
    return None


def system(path, name):
    mine = folder_of(path)
    program = "sim" if mine in PROGRAM else mine
    for pattern, folders in LIBRARIES.items():
        if re.fullmatch(pattern, name) and not {program, path} & folders:
            return f"<{name}> belongs to {', '.join(sorted(folders))}"
    return None


def problems_of(top, path, text):
    for match in INCLUDE.finditer(text):
        bracket, name = match.groups()
        number = text.count("\n", 0, match.start()) + 1
        if is_method(path) and (bracket, name) != ('"', "moe/method.h"):
            why = "a method includes moe/method.h and nothing else"
        elif bracket == "<":
            why = system(path, name)
        else:
            why = quoted(top, path, name)
        if why is not None:
            yield f"{path}:{number}: {why}"


def main():
    top = source_tree.root()
    paths = source_tree.files(top, (".c", ".h", ".cu", ".cuh", ".def"))
    problems = [problem for path in paths for problem in
                problems_of(top, path, source_tree.read(top, path))]
    source_tree.finish("includes", len(paths), problems)


if __name__ == "__main__":
    main()
